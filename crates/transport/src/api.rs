//! The routes of a service, each with who may use it: one without that cannot be written.
//!
//! What is declared stands in the OpenAPI document as `x-permission`; that handlers hold to it is for tests, which try every
//! operation of the document with every credential that must not do.

use std::collections::HashMap;

use http::Method;
use spanlake_model::Scope;
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Everybody, without a credential: how one gets one, or what everybody may know.
    Anyone,
    /// Whoever shows a credential, whatever it may do.
    Credential,
    /// Whoever may do this.
    Scope(Scope),
    /// A person who owns the tenant: no key does.
    Owner,
}

impl Permission {
    /// As in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Credential => "credential",
            Self::Scope(scope) => scope.as_str(),
            Self::Owner => "owner",
        }
    }
}

impl Permission {
    /// Reads what [`Self::as_str`] wrote.
    fn parse(text: &str) -> Option<Self> {
        let named = [Self::Anyone, Self::Credential, Self::Owner].into_iter().find(|one| one.as_str() == text);
        named.or_else(|| Scope::ALL.into_iter().find(|scope| scope.as_str() == text).map(Self::Scope))
    }
}

/// Who may use each operation of a document, in the document's words.
pub(crate) fn permissions(document: &OpenApi) -> HashMap<(Method, String), &'static str> {
    let mut all = HashMap::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in methods(item) {
            let declared = operation.extensions.as_ref().and_then(|extensions| extensions.get(EXTENSION)?.as_str());
            if let Some(permission) = declared.and_then(Permission::parse) {
                all.insert((method, path.clone()), permission.as_str());
            }
        }
    }
    all
}

/// The operations of a path, each with its method.
pub(crate) fn methods(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    let named = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::OPTIONS, options),
        (Method::HEAD, head),
        (Method::PATCH, patch),
        (Method::TRACE, trace),
    ];
    named.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

impl From<Scope> for Permission {
    fn from(scope: Scope) -> Self {
        Self::Scope(scope)
    }
}

/// The name in the document.
const EXTENSION: &str = "x-permission";

/// Routes whose handlers wait for their state.
pub struct Routes<S>(OpenApiRouter<S>);

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self(OpenApiRouter::new())
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Adds what `routes!` made, for whom `permission` says.
    #[must_use]
    pub fn to(self, permission: impl Into<Permission>, (schemas, mut paths, handlers): UtoipaMethodRouter<S>) -> Self {
        let permission = permission.into();
        for operation in paths.paths.values_mut().flat_map(operations) {
            let declared = Extensions::from_iter([(EXTENSION, permission.as_str())]);
            operation.extensions.get_or_insert_default().merge(declared);
        }
        Self(self.0.routes((schemas, paths, handlers)))
    }

    /// Gives the handlers their state.
    pub fn with_state(self, state: S) -> Api {
        Api(self.0.with_state(state))
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

/// The routes of a service or of several, together with their part of the OpenAPI document.
#[derive(Default)]
pub struct Api(OpenApiRouter);

impl Api {
    /// These routes and those.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// What is served, and the document that describes it.
    pub fn split(self) -> (axum::Router, OpenApi) {
        self.0.split_for_parts()
    }
}
