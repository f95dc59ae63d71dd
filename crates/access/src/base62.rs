//! Numbers in the digits `0-9A-Za-z`, most significant first, always of the same length.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Writes `number`, big-endian bytes, with exactly `width` digits. The caller chooses a width that holds it.
pub(crate) fn encode<const N: usize>(mut number: [u8; N], width: usize) -> String {
    let mut digits = vec![0; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            // 61 * 256 + 255 divided by 62 is below 256, so nothing is cut off.
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = DIGITS[remainder as usize];
    }
    digits.into_iter().map(char::from).collect()
}

/// Reads what [`encode`] wrote for sixteen bytes or fewer; `None` for other characters and for what does not fit.
pub(crate) fn decode(text: &str) -> Option<u128> {
    text.bytes().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u128::from(value))
    })
}

/// Whether every character is a digit.
pub(crate) fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_survive_twenty_two_digits() {
        for number in [0, 1, 61, 62, u128::from(u64::MAX), u128::MAX] {
            let text = encode(number.to_be_bytes(), 22);
            assert_eq!((text.len(), decode(&text)), (22, Some(number)));
        }
    }

    #[test]
    fn the_largest_secret_fits_its_forty_three_digits() {
        assert_eq!(encode([0xff; 32], 43), all_ones());
    }

    /// 2^256 - 1, by another way.
    fn all_ones() -> String {
        // Start from zero, and for each of 256 bits double and add one, in base 62.
        let mut digits = [0_u32; 43];
        for _ in 0..256 {
            let mut carry = 1;
            for digit in digits.iter_mut().rev() {
                let value = *digit * 2 + carry;
                *digit = value % 62;
                carry = value / 62;
            }
            assert_eq!(carry, 0, "it overflowed");
        }
        digits.iter().map(|digit| char::from(DIGITS[*digit as usize])).collect()
    }

    #[test]
    fn what_is_too_large_or_no_digit_is_refused() {
        assert_eq!(decode(&"z".repeat(22)), None);
        assert_eq!(decode("a_b"), None);
    }
}
