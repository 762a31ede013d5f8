// ln(1 + x) for x ≥ 0 with the digits of a small x, which 1 + x would lose.

// Below this the series up to x⁴ is exact to 2^-24: its next term is x⁵/5.
const SERIES = 0.02;

fn log_one_plus(x: f32) -> f32 {
  let series = x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - 0.25 * x)));
  return select(log(1.0 + x), series, x < SERIES);
}
