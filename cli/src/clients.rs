//! The registry client as the command line sets it up.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use registry_client::auth::{ConfigFiles, Credential, Credentials, OneCredential, Secret};
use registry_client::routes::HostFiles;
use registry_client::{Client, Config, HostRules, Proxies, TrustRoots};

use crate::app::App;
use crate::ui::quantity::parse_size;

/// Under what a command's help has the options about registries.
const CONNECTION: &str = "How registries are reached";

// The options of every command that talks to a registry.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConnectionArgs {
    /// Whether registries must have a valid certificate; `false` also allows plain HTTP
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
          default_value = "true", default_missing_value = "true", require_equals = true, help_heading = CONNECTION)]
    pub(crate) tls_verify: bool,
    /// Certificates to trust beside the system's, as PEM
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(crate) ca_file: Vec<PathBuf>,
    /// The file with credentials, in place of docker's and podman's
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(crate) authfile: Option<PathBuf>,
    /// The credentials themselves
    #[arg(long, value_name = "NAME:PASSWORD", help_heading = CONNECTION)]
    pub(crate) creds: Option<String>,
    /// How many bytes pass in a second at most, as in `500k` or `2M`
    #[arg(long, value_name = "RATE", value_parser = parse_rate, help_heading = CONNECTION)]
    pub(crate) limit_rate: Option<NonZeroU64>,
    /// Fetch layers that a registry lacks from the URLs that the image names
    #[arg(long, help_heading = CONNECTION)]
    pub(crate) foreign_layers: bool,
}

fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let rate = parse_size(text.strip_suffix("/s").unwrap_or(text))?;
    NonZeroU64::new(rate).ok_or_else(|| "nothing would pass".to_owned())
}

impl Default for ConnectionArgs {
    fn default() -> ConnectionArgs {
        ConnectionArgs {
            tls_verify: true,
            ca_file: Vec::new(),
            authfile: None,
            creds: None,
            limit_rate: None,
            foreign_layers: false,
        }
    }
}

/// A client for one command, which talks to `registry` above all.
pub(crate) fn client(app: &App, args: &ConnectionArgs, registry: &str) -> Client {
    let machine = &app.machine;
    let mut roots = TrustRoots::default();
    if let Some(file) = machine.variable("SSL_CERT_FILE") {
        roots.system_bundles.insert(0, file.into());
    }
    roots.extra_files.clone_from(&args.ca_file);
    Client::new(Config {
        credentials: credentials(app, args, registry),
        hosts: HostRules { all_insecure: !args.tls_verify, ..HostRules::default() },
        routes: Arc::new(HostFiles::new(machine.host_files())),
        roots,
        proxies: Proxies::from_variables(|name| machine.variable(name)),
        limit_rate: args.limit_rate,
        unfinished: app.transfers_dir(),
        foreign_urls: args.foreign_layers,
        ..Config::default()
    })
}

fn credentials(app: &App, args: &ConnectionArgs, registry: &str) -> Arc<dyn Credentials> {
    if let Some(pair) = &args.creds {
        let (username, password) = pair.split_once(':').unwrap_or((pair, ""));
        return Arc::new(OneCredential {
            registry: registry.to_owned(),
            credential: Credential::Password {
                username: username.to_owned(),
                password: Secret::new(password),
            },
        });
    }
    let files = match &args.authfile {
        Some(file) => vec![file.clone()],
        None => [app.machine.docker_config()].into_iter().chain(app.machine.auth_files()).collect(),
    };
    Arc::new(ConfigFiles::new(files))
}
