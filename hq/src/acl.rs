//! What a broker of one's own is told about who may do what: the same rules the embedded one keeps.

use crate::broker::{DOWN, UP};
use std::fmt::Write as _;

/// The access file of Mosquitto 2, and behind it, as comments, what its configuration says.
#[must_use]
pub fn mosquitto(tenant: &str, claims: &[String]) -> String {
    let mut text = format!(
        "# Made by `aisle-hq acl mosquitto`. %u is the common name of the client's certificate.\n\
         #\n\
         # mosquitto.conf:\n\
         #   per_listener_settings true\n\
         #   listener 8883\n\
         #   cafile ca.pem\n\
         #   crlfile crl.pem\n\
         #   certfile hq.pem\n\
         #   keyfile hq.key.pem\n\
         #   require_certificate true\n\
         #   use_identity_as_username true\n\
         #   acl_file aisle.acl\n\
         #   set_tcp_nodelay true\n\
         #   message_size_limit 135168\n\
         #   max_queued_messages 200\n\n\
         user aisle-hq\n\
         topic readwrite aisle/v1/{tenant}/#\n\n"
    );
    for claim in claims {
        let _ = writeln!(
            text,
            "user {claim}\n\
             topic deny aisle/v1/{tenant}/data/#\n\
             topic deny aisle/v1/{tenant}/chunk/#\n\
             topic write aisle/v1/{tenant}/claim/+/request\n\
             topic read aisle/v1/{tenant}/claim/+/certificate\n"
        );
    }
    text.push_str("# Boxes.\n");
    for leaf in UP {
        let _ = writeln!(text, "pattern write aisle/v1/{tenant}/+/%u/{leaf}");
    }
    for leaf in DOWN {
        let _ = writeln!(text, "pattern read aisle/v1/{tenant}/+/%u/{leaf}");
    }
    let _ = writeln!(text, "pattern read aisle/v1/{tenant}/data/+\npattern read aisle/v1/{tenant}/chunk/+");
    text
}
