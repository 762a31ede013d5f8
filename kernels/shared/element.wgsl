// What a tensor holds where it may be kept in half the bytes: float32 as written here, or float16 where the tensors of a
// dispatch are. src/gpu/linker.ts puts these types to a kernel as it puts constants, and `enable f16` before it.
//
// In: what a kernel reads, Out: what it writes, which it calls y; either may be float16 alone. Loads are vec4f(x[i]), stores
// Out4(value), which with float32 are x[i] and value. Whatever lies between is computed in float32.

alias In = f32;
alias In4 = vec4f;
alias Out = f32;
alias Out4 = vec4f;
