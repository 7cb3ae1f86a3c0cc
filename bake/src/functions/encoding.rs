//! Texts in other forms, and digests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;

use super::{exactly, text};
use crate::value::Value;
use crate::{Error, Result};

/// Calls a function of forms or digests.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value>> {
    let one =
        |of: &dyn Fn(&str) -> Result<Value>| exactly(args).and_then(|[arg]| of(&arg.to_text()?));
    Some(match name {
        "base64encode" => one(&|of| text(STANDARD.encode(of))),
        "base64decode" => one(&|of| {
            let bytes = STANDARD.decode(of).map_err(|error| Error::new(error.to_string()))?;
            String::from_utf8(bytes).map(Value::Text).map_err(|_| Error::new("it holds no text"))
        }),
        "urlencode" => one(&|of| text(url_encoded(of))),
        "jsonencode" => exactly(args).and_then(|[of]| text(of.to_json().to_string())),
        "jsondecode" => one(&|of| {
            let json = serde_json::from_str(of).map_err(|error| Error::new(error.to_string()))?;
            Ok(Value::from_json(&json))
        }),
        "md5" => one(&|of| text(hex(&md5::Md5::digest(of)))),
        "sha1" => one(&|of| text(hex(&sha1::Sha1::digest(of)))),
        "sha256" => one(&|of| text(hex(&sha2::Sha256::digest(of)))),
        "sha512" => one(&|of| text(hex(&sha2::Sha512::digest(of)))),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn url_encoded(of: &str) -> String {
    let mut encoded = String::new();
    for byte in of.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
