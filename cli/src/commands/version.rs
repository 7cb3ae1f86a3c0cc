//! `tierce version`: what program this is, in the words that scripts look for.

use oci::Platform;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Outcome;
use crate::ui::{say, say_value};

// What `tierce version` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `json`, or placeholders: '{{.Client.Version}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, _: &App) -> Outcome {
    match &args.format {
        None => say!("Version:  {}\nOS/Arch:  {}", crate::VERSION, Platform::host()),
        Some(format) => say_value(format, &described())?,
    }
    Ok(0)
}

/// There is no daemon: who asks for the server's version gets that of the program that serves.
fn described() -> Value {
    let host = Platform::host();
    let one = json!({ "Version": crate::VERSION, "Os": host.os, "Arch": host.architecture });
    json!({ "Client": one, "Server": one })
}
