//! How the log numbers what requests hold and how they are written.

use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_store::log;

pub(crate) const fn in_log(signal: Signal, encoding: Encoding) -> log::Encoding {
    match (signal, encoding) {
        (Signal::Traces, Encoding::Protobuf) => log::Encoding::OtlpProtobuf,
        (Signal::Traces, Encoding::Json) => log::Encoding::OtlpJson,
        (Signal::Logs, Encoding::Protobuf) => log::Encoding::OtlpLogsProtobuf,
        (Signal::Logs, Encoding::Json) => log::Encoding::OtlpLogsJson,
    }
}

/// `None`: it holds scores.
pub(crate) const fn of_request(logged: log::Encoding) -> Option<(Signal, Encoding)> {
    Some(match logged {
        log::Encoding::OtlpProtobuf => (Signal::Traces, Encoding::Protobuf),
        log::Encoding::OtlpJson => (Signal::Traces, Encoding::Json),
        log::Encoding::OtlpLogsProtobuf => (Signal::Logs, Encoding::Protobuf),
        log::Encoding::OtlpLogsJson => (Signal::Logs, Encoding::Json),
        log::Encoding::Scores => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_is_read_as_what_it_was() {
        for signal in [Signal::Traces, Signal::Logs] {
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                assert_eq!(of_request(in_log(signal, encoding)), Some((signal, encoding)));
            }
        }
    }
}
