// ln(1 + x) for x ≥ 0 with the digits of a small x, which 1 + x would lose.
//
//   ln(1 + x) = 2·atanh(z) = 2z·(1 + z²/3 + z⁴/5 + …),  z = x / (2 + x)
//
// Up to x = 1, z² is 1/9 at most and the first term left out, z¹⁴/15, below 2^-25. WGSL grants `log` an error of 2^-21
// between 1/2 and 2, whatever the size of the result; from 2 on it is good to a few units in the last place.

fn log_one_plus(x: f32) -> f32 {
  let z = x / (2.0 + x);
  let t = z * z;
  let tail = t * (1.0 / 9.0 + t * (1.0 / 11.0 + t * (1.0 / 13.0)));
  let series = 1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + tail)));
  return select(log(1.0 + x), 2.0 * z * series, x <= 1.0);
}
