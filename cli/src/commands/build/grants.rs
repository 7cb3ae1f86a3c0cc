//! What a build may use of the machine: `--secret`, `--ssh`, `--allow`, `--cdi-spec-dir`.

mod agent;
mod entitlement;
mod secret;

use std::path::PathBuf;

use builder::Grants;

use self::agent::AgentArg;
use self::entitlement::Entitlement;
use self::secret::SecretArg;
use crate::app::App;
use crate::error::Failure;

// The options.
#[derive(clap::Args)]
pub(super) struct GrantArgs {
    /// A secret for RUN --mount=type=secret, from a file or a variable; the id alone means the
    /// variable or else the file of that name
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    secret: Vec<SecretArg>,
    /// An ssh agent for RUN --mount=type=ssh: that of SSH_AUTH_SOCK, or the one at SOCKET
    #[arg(long, value_name = "default|ID[=SOCKET]")]
    ssh: Vec<AgentArg>,
    /// Let RUN ask for more: network.host, security.insecure, device, or device=NAME
    #[arg(long, value_name = "WHAT")]
    allow: Vec<Entitlement>,
    /// Where the devices of RUN --device are described, a later directory before an earlier one
    /// [default: /etc/cdi /var/run/cdi]
    #[arg(long, value_name = "DIR")]
    cdi_spec_dir: Vec<PathBuf>,
}

impl GrantArgs {
    /// All of it, secrets read and agents looked for.
    pub(super) fn grants(&self, app: &App) -> Result<Grants, Failure> {
        let mut grants = Grants::default();
        for secret in &self.secret {
            grants.secrets.insert(secret.id.clone(), secret.read(&app.machine)?);
        }
        for agent in &self.ssh {
            let socket = agent.socket(&app.machine)?;
            if grants.agents.insert(agent.id.clone(), socket).is_some() {
                return Err(Failure::new(format!("the ssh agent {:?} is given twice", agent.id)));
            }
        }
        for entitlement in &self.allow {
            match entitlement {
                Entitlement::HostNetwork => grants.host_network = true,
                Entitlement::Insecure => grants.insecure = true,
                Entitlement::Device(None) => grants.devices.all = true,
                Entitlement::Device(Some(name)) => {
                    grants.devices.names.insert(name.clone());
                }
            }
        }
        grants.devices.directories = match self.cdi_spec_dir.as_slice() {
            [] => app.machine.cdi_directories(),
            named => named.to_vec(),
        };
        Ok(grants)
    }
}
