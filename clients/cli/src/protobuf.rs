//! Protobuf as far as an answer to a telemetry request needs it. Reading the two small messages by hand spares the client a
//! code generator.

/// The fields of a message, as far as it can be read.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

/// One of them.
pub(crate) enum Field<'a> {
    /// A varint.
    Number(u64),
    /// Text, or a message.
    Bytes(&'a [u8]),
    /// Four or eight bytes.
    Fixed,
}

impl Fields<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Field::Fixed)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

/// The text of a field of a message, if it can be read that far.
pub(crate) fn text(message: &[u8], wanted: u64) -> Option<String> {
    let found = Fields(message).find_map(|(number, field)| match field {
        Field::Bytes(text) if number == wanted => Some(text),
        _ => None,
    });
    found.map(|text| String::from_utf8_lossy(text).into_owned())
}
