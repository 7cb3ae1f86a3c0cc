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

/// The version of docker's API whose requests the commands are like: scripts ask for it to know
/// what they can say.
const API: &str = "1.51";
/// The oldest one whose requests are understood.
const OLDEST_API: &str = "1.24";

/// Carries it out.
pub(crate) fn run(args: &Args, _: &App) -> Outcome {
    match &args.format {
        None => say!(
            "Version:  {}\nAPI:      like docker's {API}\nOS/Arch:  {}",
            crate::VERSION,
            Platform::host()
        ),
        Some(format) => say_value(format, &described())?,
    }
    Ok(0)
}

/// There is no daemon: who asks for the server's version gets that of the program that serves.
fn described() -> Value {
    let host = Platform::host();
    let one = json!({
        "Platform": { "Name": "Tierce" },
        "Version": crate::VERSION,
        "ApiVersion": API,
        "GitCommit": "",
        "GoVersion": "",
        "Os": host.os,
        "Arch": host.architecture,
        "BuildTime": "",
    });
    let (mut client, mut server) = (one.clone(), one);
    client["DefaultAPIVersion"] = API.into();
    client["Context"] = "default".into();
    server["MinAPIVersion"] = OLDEST_API.into();
    server["KernelVersion"] = rustix::system::uname().release().to_string_lossy().into();
    server["Experimental"] = false.into();
    server["Components"] = json!([{
        "Name": "Engine",
        "Version": crate::VERSION,
        "Details": {
            "ApiVersion": API,
            "Arch": server["Arch"],
            "Experimental": "false",
            "KernelVersion": server["KernelVersion"],
            "MinAPIVersion": OLDEST_API,
            "Os": server["Os"],
        },
    }]);
    json!({ "Client": client, "Server": server })
}
