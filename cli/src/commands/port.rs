//! `tierce port`: where the published ports of a container are.

use std::net::SocketAddr;

use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::networks::join::Addresses;
use crate::networks::publish::protocol;
use crate::ui::say;

// What `tierce port` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The container: a name or an id
    container: String,
    /// A port of the container's: 80, 53/udp
    port: Option<String>,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let container = app.store()?.container(&args.container)?;
    let wanted = args.port.as_deref().map(protocol).transpose().map_err(Failure::new)?;
    let mut shown = false;
    for port in Addresses::of(&container).ports {
        let place = SocketAddr::from((port.ip, port.host));
        match wanted {
            None => say!("{}/{} -> {place}", port.container, port.protocol.as_str()),
            Some((number, protocol)) => {
                if number != port.container.to_string() || protocol != port.protocol {
                    continue;
                }
                say!("{place}");
            }
        }
        shown = true;
    }
    match wanted {
        Some(_) if !shown => Err(Failure::new(format!(
            "no public port `{}` published for {}",
            args.port.as_deref().unwrap_or_default(),
            container.name
        ))),
        _ => Ok(0),
    }
}
