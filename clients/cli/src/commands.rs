//! One file a command.

pub(crate) mod export;
pub(crate) mod keys;
pub(crate) mod link;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod manual;
pub(crate) mod profiles;
pub(crate) mod send;
pub(crate) mod traces;
pub(crate) mod when;
pub(crate) mod whoami;
