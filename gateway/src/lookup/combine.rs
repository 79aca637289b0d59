//! One value out of a feature's slots: the sum, the smallest or the largest of those not expired.
//!
//! Slots stand in the order of regions, so sums of floats fall alike everywhere. Integer sums stop
//! at the type's ends; a NaN in one slot is the result.

use proto::{
    schema::Combine,
    types::{Scalar, Type},
};

/// Combines values of type `ty`, in the low bytes of each word. `None` without values.
#[must_use]
pub fn combine(ty: Type, how: Combine, values: impl Iterator<Item = [u8; 8]>) -> Option<[u8; 8]> {
    let Type::Scalar(scalar) = ty else {
        return None;
    };
    match scalar {
        Scalar::Bool => integers(how, values.map(|word| i64::from(word[0])), 0, 1),
        Scalar::Int32 => integers(
            how,
            values.map(int32),
            i64::from(i32::MIN),
            i64::from(i32::MAX),
        ),
        Scalar::Int64 | Scalar::Timestamp => {
            integers(how, values.map(i64::from_le_bytes), i64::MIN, i64::MAX)
        }
        Scalar::Float32 => floats(how, values.map(|word| f64::from(float32(word)))).map(|float| {
            let mut word = [0; 8];
            // Narrowing a sum of float32 values rounds once; smallest and largest are exact.
            word[..4].copy_from_slice(&(float as f32).to_le_bytes());
            word
        }),
        Scalar::Float64 => floats(how, values.map(f64::from_le_bytes)).map(f64::to_le_bytes),
        Scalar::String | Scalar::Bytes => None,
    }
}

fn int32(word: [u8; 8]) -> i64 {
    i64::from(i32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

fn float32(word: [u8; 8]) -> f32 {
    f32::from_le_bytes([word[0], word[1], word[2], word[3]])
}

fn integers(
    how: Combine,
    mut values: impl Iterator<Item = i64>,
    min: i64,
    max: i64,
) -> Option<[u8; 8]> {
    let first = values.next()?;
    let result = match how {
        Combine::Latest => return None,
        Combine::Min => values.fold(first, i64::min),
        Combine::Max => values.fold(first, i64::max),
        Combine::Sum => {
            let sum: i128 = i128::from(first) + values.map(i128::from).sum::<i128>();
            let sum = sum.clamp(i128::from(min), i128::from(max));
            i64::try_from(sum).expect("it was clamped to 64 bits")
        }
    };
    Some(result.to_le_bytes())
}

fn floats(how: Combine, mut values: impl Iterator<Item = f64>) -> Option<f64> {
    let first = values.next()?;
    let pick = |chosen: f64, other: f64, is_better: bool| {
        if !chosen.is_nan() && (other.is_nan() || is_better) {
            other
        } else {
            chosen
        }
    };
    match how {
        Combine::Latest => None,
        Combine::Sum => Some(values.fold(first, |sum, value| sum + value)),
        Combine::Min => Some(values.fold(first, |least, value| pick(least, value, value < least))),
        Combine::Max => Some(values.fold(first, |most, value| pick(most, value, value > most))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: &str, how: Combine, values: &[i64], expected: Option<i64>) {
        let words = values.iter().map(|value| value.to_le_bytes());
        let combined = combine(ty.parse().unwrap(), how, words).map(|word| match ty {
            "int32" => int32(word),
            _ => i64::from_le_bytes(word),
        });
        assert_eq!(combined, expected, "{ty} {how:?} {values:?}");
    }

    #[test]
    fn integers_combine_without_overflow() {
        check("int64", Combine::Sum, &[], None);
        check(
            "int64",
            Combine::Sum,
            &[i64::MAX, 1, -2],
            Some(i64::MAX - 1),
        );
        check("int64", Combine::Sum, &[i64::MAX, 1], Some(i64::MAX));
        check("int64", Combine::Min, &[3, -4, 5], Some(-4));
        check(
            "int32",
            Combine::Sum,
            &[i64::from(i32::MAX), 5],
            Some(i64::from(i32::MAX)),
        );
        check("timestamp", Combine::Max, &[3, -4, 5], Some(5));
    }

    #[test]
    fn a_nan_in_one_slot_is_the_result() {
        for how in [Combine::Sum, Combine::Min, Combine::Max] {
            for values in [[1.0, f64::NAN], [f64::NAN, 1.0]] {
                let words = values.iter().map(|value| value.to_le_bytes());
                let combined = combine(Type::Scalar(Scalar::Float64), how, words).unwrap();
                assert!(f64::from_le_bytes(combined).is_nan());
            }
        }
    }
}
