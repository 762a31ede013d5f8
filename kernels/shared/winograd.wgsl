// Transforms of Winograd's F(4×4, 3×3) along one axis: four outputs of three taps by six products instead of twelve.
//
//   y = Aᵀ·((G·g) ⊙ (Bᵀ·d)),  d six inputs, g three taps, y four outputs        Toom 1963, Winograd 1980, Lavin & Gray 2016
//   grad_g = Gᵀ·((A·grad_y) ⊙ (Bᵀ·d))
//
// Both are polynomials that are multiplied by their values at the points 0, ±P, ±Q and ∞. Over 256 channels the error (root
// mean square) is 2.2 times that of the plain sum for inputs around zero, 9e-7 of the outputs' size, and 1.4 times behind a
// ReLU; the usual points ±1 and ±2 would double it. Gradients of weights, summed over 1,600 pixels, are off by 1e-6 of their
// size, four times the plain sum's (test/ops/winograd.test.ts holds all). Every factor of A and B is exact.

const P = 0.75;
const Q = 1.5;
const P2 = P * P;
const Q2 = Q * Q;
// 1 / (2·P²·(P² − Q²)) and 1 / (2·Q²·(Q² − P²)): what the values of the taps are divided by at ±P and ±Q.
const BY_P = 1.0 / (2.0 * P2 * (P2 - Q2));
const BY_Q = 1.0 / (2.0 * Q2 * (Q2 - P2));
const BY_0 = 1.0 / (P2 * Q2);

alias Three = array<f32, 3>;
alias Four = array<f32, 4>;
alias Six = array<f32, 6>;

// Bᵀ·d.
fn values_of_input(d: Six) -> Six {
  let even_p = d[4] - Q2 * d[2];
  let odd_p = P * (d[3] - Q2 * d[1]);
  let even_q = d[4] - P2 * d[2];
  let odd_q = Q * (d[3] - P2 * d[1]);
  return Six(
    P2 * Q2 * d[0] - (P2 + Q2) * d[2] + d[4],
    even_p + odd_p,
    even_p - odd_p,
    even_q + odd_q,
    even_q - odd_q,
    P2 * Q2 * d[1] - (P2 + Q2) * d[3] + d[5],
  );
}

// G·g.
fn values_of_taps(g: Three) -> Six {
  let even_p = BY_P * (g[0] + P2 * g[2]);
  let odd_p = BY_P * P * g[1];
  let even_q = BY_Q * (g[0] + Q2 * g[2]);
  let odd_q = BY_Q * Q * g[1];
  return Six(BY_0 * g[0], even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g[2]);
}

// Aᵀ·m.
fn outputs_of_values(m: Six) -> Four {
  let even_p = m[1] + m[2];
  let odd_p = m[1] - m[2];
  let even_q = m[3] + m[4];
  let odd_q = m[3] - m[4];
  return Four(
    m[0] + even_p + even_q,
    P * odd_p + Q * odd_q,
    P2 * even_p + Q2 * even_q,
    P * P2 * odd_p + Q * Q2 * odd_q + m[5],
  );
}

// A·y.
fn values_of_outputs(y: Four) -> Six {
  let even_p = y[0] + P2 * y[2];
  let odd_p = P * (y[1] + P2 * y[3]);
  let even_q = y[0] + Q2 * y[2];
  let odd_q = Q * (y[1] + Q2 * y[3]);
  return Six(y[0], even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, y[3]);
}

// Gᵀ·m.
fn taps_of_values(m: Six) -> Three {
  let even_p = BY_P * (m[1] + m[2]);
  let odd_p = BY_P * (m[1] - m[2]);
  let even_q = BY_Q * (m[3] + m[4]);
  let odd_q = BY_Q * (m[3] - m[4]);
  return Three(BY_0 * m[0] + even_p + even_q, P * odd_p + Q * odd_q, P2 * even_p + Q2 * even_q + m[5]);
}
