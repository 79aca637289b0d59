//! What went wrong with certificates, in words that say what to change.

use std::io;

/// The same error in those words, where there are some.
pub fn explain(error: io::Error) -> io::Error {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let words = match inner {
        Some(Error::InvalidCertificate(bad)) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "its certificate has expired; start it anew with a new join token in its cluster.join_token_file"
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet; set the clocks right"
            }
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is of another cluster; correct the addresses"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is not of a node of this cluster; correct the addresses"
            }
            _ => return error,
        },
        Some(Error::AlertReceived(alert)) => match alert {
            Alert::CertificateExpired => {
                "it says that this node's certificate has expired; start it anew with a new join token in cluster.join_token_file"
            }
            Alert::UnknownCA | Alert::DecryptError | Alert::BadCertificate => {
                "it says that this node's certificate is of another cluster; correct the addresses"
            }
            _ => return error,
        },
        Some(Error::InvalidMessage(_)) => {
            "it does not speak TLS: it has no cluster yet, or an open one"
        }
        _ => return error,
    };
    io::Error::new(io::ErrorKind::PermissionDenied, words)
}
