//! What a request says, borrowed from where it lies: from the bytes of a protobuf body, or from the tree that JSON was read into.
//!
//! Everything that is thrown away after a look at it stays where it is; only lists and maps within values are built, and text that
//! is not UTF-8.

pub(crate) mod tree;

use std::borrow::Cow;

/// The value of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    /// None, or one that only profiles may have.
    #[default]
    Empty,
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Map(Vec<Attribute<'a>>),
}

/// A key and its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attribute<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Value<'a>,
}

/// A span. Filled again and again, so that its lists are made once.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Span<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) parent_span_id: &'a [u8],
    pub(crate) name: Cow<'a, str>,
    pub(crate) start_nanos: u64,
    pub(crate) end_nanos: u64,
    pub(crate) attributes: Vec<Attribute<'a>>,
    pub(crate) events: Vec<Event<'a>>,
    pub(crate) links: Vec<Link<'a>>,
    pub(crate) status: Option<Status<'a>>,
}

/// Something that happened during a span.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) nanos: u64,
    pub(crate) attributes: Vec<Attribute<'a>>,
}

/// Another span that a span names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Link<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) attributes: Vec<Attribute<'a>>,
}

/// How a span ended; `code` as OTLP numbers it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Status<'a> {
    pub(crate) code: i32,
    pub(crate) message: Cow<'a, str>,
}

/// A log record.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Record<'a> {
    pub(crate) trace_id: &'a [u8],
    pub(crate) span_id: &'a [u8],
    pub(crate) event_name: Cow<'a, str>,
    pub(crate) nanos: u64,
    pub(crate) observed_nanos: u64,
    pub(crate) severity: i32,
    pub(crate) body: Option<Value<'a>>,
    pub(crate) attributes: Vec<Attribute<'a>>,
}

/// What came from one resource.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Resource<'a, I> {
    pub(crate) attributes: Vec<Attribute<'a>>,
    pub(crate) scopes: Vec<Scope<'a, I>>,
}

/// What one instrumentation of a resource sent: items not yet read, spans or log records.
#[derive(Debug, PartialEq)]
pub(crate) struct Scope<'a, I> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) items: Vec<I>,
}

impl<'a, I> Resource<'a, I> {
    /// With other items.
    pub(crate) fn map<J>(self, other: impl Fn(I) -> J) -> Resource<'a, J> {
        let scope =
            |scope: Scope<'a, I>| Scope { name: scope.name, items: scope.items.into_iter().map(&other).collect() };
        Resource { attributes: self.attributes, scopes: self.scopes.into_iter().map(scope).collect() }
    }
}

/// A span or log record that lies in a request and is read into `T`.
pub(crate) trait Item<T> {
    /// Forgets what was in `into`, and reads this.
    ///
    /// # Errors
    /// When it is malformed, which spoils only itself: what must be different.
    fn read(self, into: &mut T) -> Result<(), String>;
}

impl Span<'_> {
    /// Forgets everything but the room its lists have.
    pub(crate) fn clear(&mut self) {
        let Self { mut attributes, mut events, mut links, .. } = std::mem::take(self);
        attributes.clear();
        events.clear();
        links.clear();
        *self = Self { attributes, events, links, ..Self::default() };
    }
}

impl Record<'_> {
    /// Forgets everything but the room its list has.
    pub(crate) fn clear(&mut self) {
        let Self { mut attributes, .. } = std::mem::take(self);
        attributes.clear();
        *self = Self { attributes, ..Self::default() };
    }
}

impl Value<'_> {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.is_empty(),
            Self::List(values) => values.is_empty(),
            Self::Map(attributes) => attributes.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Bool(_) | Self::Int(_) | Self::Double(_) => false,
        }
    }
}
