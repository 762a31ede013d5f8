// What a tensor holds where it may be kept in half the bytes: float32, or float16 where the tensors of a dispatch are. Then
// src/gpu/linker.ts puts f16 and vec4h into these lines, and `enable f16` before them.
//
// In: what a kernel reads, Out: what it writes, always called y; either may be float16 alone. Loads are vec4f(x[i]), stores Out4(value), which
// with float32 are x[i] and value. Whatever lies between is computed in float32.

alias In = f32;
alias In4 = vec4f;
alias Out = f32;
alias Out4 = vec4f;
