//! What an aggregate keeps per group, and how it is written down for a snapshot, a spill or another worker.

use std::mem::size_of_val;

/// The state of one group.
///
/// Numbers, booleans, texts, and tuples, arrays, options and vectors of these are states as they are. A type of your own
/// says what of these it is saved as:
///
/// ```
/// use millstream::function::custom::State;
///
/// #[derive(Clone)]
/// struct Mean { sum: f64, count: i64 }
///
/// impl State for Mean {
///     type Saved = (f64, i64);
///     fn save(&self) -> (f64, i64) { (self.sum, self.count) }
///     fn load((sum, count): (f64, i64)) -> Self { Mean { sum, count } }
/// }
/// ```
pub trait State: Clone + Send + Sync + 'static {
    /// What it is saved as.
    type Saved: Encode;

    fn save(&self) -> Self::Saved;
    fn load(saved: Self::Saved) -> Self;
    /// Bytes it holds beside itself: they count against the engine's memory.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// A value that is saved as bytes.
pub trait Encode: Sized {
    fn encode(&self, out: &mut Vec<u8>);
    /// Takes the value off the front; `None` when the bytes are not one.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
    /// Bytes it holds beside itself.
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl<T: Encode + Clone + Send + Sync + 'static> State for T {
    type Saved = T;

    fn save(&self) -> T {
        self.clone()
    }

    fn load(saved: T) -> T {
        saved
    }

    fn heap_bytes(&self) -> usize {
        Encode::heap_bytes(self)
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Encode for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let (value, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$number>::from_le_bytes(*value))
            }
        })*
    };
}
numbers!(i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);

impl Encode for usize {
    fn encode(&self, out: &mut Vec<u8>) {
        (*self as u64).encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        usize::try_from(u64::decode(bytes)?).ok()
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        u8::decode(bytes).map(|byte| byte != 0)
    }
}

impl Encode for () {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        if bool::decode(bytes)? { T::decode(bytes).map(Some) } else { Some(None) }
    }

    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, Encode::heap_bytes)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.len().encode(out);
        self.iter().for_each(|value| value.encode(out));
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::decode(bytes)?;
        (0..length).map(|_| T::decode(bytes)).collect()
    }

    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(Encode::heap_bytes).sum::<usize>()
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.len().encode(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::decode(bytes)?;
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.encode(out));
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let values: Option<Vec<T>> = (0..N).map(|_| T::decode(bytes)).collect();
        values?.try_into().ok()
    }

    fn heap_bytes(&self) -> usize {
        self.iter().map(Encode::heap_bytes).sum()
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        T::decode(bytes).map(Box::new)
    }

    fn heap_bytes(&self) -> usize {
        size_of_val::<T>(self) + (**self).heap_bytes()
    }
}

macro_rules! tuples {
    ($($part:ident $index:tt),+) => {
        impl<$($part: Encode),+> Encode for ($($part,)+) {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)+
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($part::decode(bytes)?,)+))
            }

            fn heap_bytes(&self) -> usize {
                0 $(+ self.$index.heap_bytes())+
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Encode + PartialEq + std::fmt::Debug>(value: T) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        let mut rest = &bytes[..];
        assert_eq!(T::decode(&mut rest), Some(value));
        assert!(rest.is_empty(), "all bytes are used");
        let mut short = &bytes[..bytes.len().saturating_sub(1)];
        assert!(bytes.is_empty() || T::decode(&mut short).is_none(), "a byte less is no value");
    }

    #[test]
    fn values_come_back_from_their_bytes() {
        check((1.5_f64, -7_i64, u128::MAX));
        check((vec![Some("a".to_string()), None], [1_u8, 2, 3], true));
        check((String::from("ü"), Box::new(7_usize)));
    }
}
