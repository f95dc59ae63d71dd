//! Fields of a protobuf message, one after the other.

use std::borrow::Cow;

use super::Error;

/// Groups within groups that are passed over; nobody has sent one for twenty years.
const GROUPS_MAX: usize = 64;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
    Group,
}

/// What is left of a message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next field and its number.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let field = match wire_type {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(*self.fixed()?)),
            2 => Field::Bytes(self.delimited()?),
            3 => {
                self.skip_group(number)?;
                Field::Group
            }
            4 => return Err(Error::Group),
            _ => {
                self.fixed::<4>()?;
                Field::Fixed32
            }
        };
        Ok(Some((number, field)))
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), Error> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Error::Tag)?;
        match (tag >> 3, (tag & 7) as u8) {
            (0, _) | (_, 6 | 7) => Err(Error::Tag),
            tag => Ok(tag),
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Error> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for (position, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * position);
            if *byte < 0x80 {
                // Of the tenth byte one bit fits.
                if position == 9 && *byte > 1 {
                    return Err(Error::Number);
                }
                self.rest = &self.rest[position + 1..];
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 { Error::Truncated } else { Error::Number })
    }

    fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn delimited(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.varint()?).map_err(|_| Error::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn skip_group(&mut self, number: u32) -> Result<(), Error> {
        let mut open = vec![number];
        while let Some(innermost) = open.last() {
            let (number, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => drop(self.fixed::<8>()?),
                2 => drop(self.delimited()?),
                3 if open.len() < GROUPS_MAX => open.push(number),
                3 => return Err(Error::TooDeep),
                4 if number == *innermost => drop(open.pop()),
                4 => return Err(Error::Group),
                _ => drop(self.fixed::<4>()?),
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    /// Of `number`, the bytes of a message.
    #[inline]
    pub(super) const fn message(self, number: u32) -> Result<&'a [u8], Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::WireType(number)),
        }
    }

    /// With U+FFFD for what is not UTF-8, which some senders do not look at.
    #[inline]
    pub(super) fn text(self, number: u32) -> Result<Cow<'a, str>, Error> {
        let bytes = self.message(number)?;
        // Several times as fast as the standard library's on text that is not all ASCII.
        Ok(simdutf8::basic::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed))
    }

    #[inline]
    pub(super) const fn varint(self, number: u32) -> Result<u64, Error> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(Error::WireType(number)),
        }
    }

    #[inline]
    pub(super) const fn fixed64(self, number: u32) -> Result<u64, Error> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(Error::WireType(number)),
        }
    }

    #[inline]
    pub(super) const fn fixed32(self, number: u32) -> Result<(), Error> {
        match self {
            Self::Fixed32 => Ok(()),
            _ => Err(Error::WireType(number)),
        }
    }
}
