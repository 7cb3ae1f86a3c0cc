//! `tierce network`: networks of containers.

pub(super) mod show;

use std::net::Ipv4Addr;

use clap::Subcommand;

use crate::app::App;
use crate::containers::{Done, each};
use crate::error::{Failure, Outcome};
use crate::networks::connect::Connection;
use crate::networks::join::new_network;
use crate::networks::{DEFAULT, Driver, Networks, Subnet};
use crate::refused::refused;
use crate::ui::ask::confirmed;
use crate::ui::filter::Prunable;
use crate::ui::say;

// What `tierce network` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Action {
    /// Make a network and print its id
    Create(Create),
    /// Connect a container to one more network
    Connect(Connect),
    /// Take a container off a network
    Disconnect {
        /// Take it off also if it is not there any more; nobody is on a network who is not
        #[arg(short, long)]
        force: bool,
        /// The network: a name or an id
        network: String,
        /// The container: a name or an id
        container: String,
    },
    /// List networks
    #[command(visible_alias = "list")]
    Ls(show::Ls),
    /// Show everything about networks
    Inspect(show::Inspect),
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm {
        /// Mind none that is not there
        #[arg(short, long)]
        force: bool,
        /// Names or ids of networks
        #[arg(required = true, value_name = "NETWORK")]
        networks: Vec<String>,
    },
    /// Remove networks that no container is on
    Prune {
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        /// Only those that are so: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
    },
}

refused! { NotCreated {
    attachable: "there are no swarms: every container can be put on every network";
    config_from: "there are no swarms, whose networks share what they are";
    config_only: "there are no swarms, whose networks share what they are";
    ingress: "there are no swarms, whose ports are reached by a network";
    ipam_driver: "addresses are given by this program alone";
    ipam_opt: "addresses are given by this program alone";
    ipv6: "networks have addresses of version 4 alone";
    scope: "networks are this machine's alone";
}}

refused! { NotConnected {
    driver_opt: "neither driver has options of single containers";
    gw_priority: "the way out is that of the first network which has one";
    ip6: "networks have addresses of version 4 alone";
    link: "give the other container another name there: --alias";
    link_local_ip: "an interface has one address: see --ip";
}}

#[derive(clap::Args)]
struct Create {
    /// Its name
    name: String,
    /// Its addresses, as 172.30.0.0/16; a free range if none is given
    #[arg(long)]
    subnet: Option<Subnet>,
    /// The machine's address in it; the first if none is given
    #[arg(long, requires = "subnet")]
    gateway: Option<Ipv4Addr>,
    /// Give containers no way out
    #[arg(long)]
    internal: bool,
    /// Set a label: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// What it is made of: bridge, or macvlan on an interface of the machine
    #[arg(short, long, default_value = "bridge")]
    driver: String,
    /// An option of the driver: parent=eth0, of macvlan
    #[arg(short, long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// Give containers addresses of this part of the subnet, unless they choose another
    #[arg(long, value_name = "SUBNET", requires = "subnet")]
    ip_range: Option<Subnet>,
    /// Leave an address to somebody else: NAME=ADDRESS
    #[arg(long, value_name = "NAME=ADDRESS", requires = "subnet", value_parser = aux_address)]
    aux_address: Vec<(String, Ipv4Addr)>,
    /// Have addresses of version 4, as every network does
    #[arg(long, value_name = "BOOL", value_parser = ["true"], num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    ipv4: Option<String>,
    #[command(flatten)]
    _refused: NotCreated,
}

fn aux_address(text: &str) -> Result<(String, Ipv4Addr), String> {
    let read =
        text.split_once('=').and_then(|(name, ip)| Some((name.to_owned(), ip.parse().ok()?)));
    read.ok_or_else(|| format!("`{text}` is not written as NAME=ADDRESS"))
}

#[derive(clap::Args)]
struct Connect {
    /// Another name that the container has there
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// The address that it has there; a free one if none is given
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// The network: a name or an id
    network: String,
    /// The container: a name or an id
    container: String,
    #[command(flatten)]
    _refused: NotConnected,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let mut networks = Networks::lock(app.store()?)?;
    match &args.action {
        Action::Create(args) => create(args, &networks),
        Action::Connect(args) => {
            let container = app.store()?.container(&args.container)?;
            let (network, aliases) = (args.network.clone(), args.alias.clone());
            networks.connect(
                &container,
                Connection { network, aliases, address: args.ip, mac: None },
            )?;
            Ok(0)
        }
        Action::Disconnect { force, network, container } => {
            match app.store()?.container(container) {
                Ok(container) => networks.disconnect(&container, network)?,
                Err(layerfs::Error::ContainerNotFound { .. }) if *force => {}
                Err(error) => return Err(error.into()),
            }
            Ok(0)
        }
        Action::Ls(args) => {
            networks.ensure_default()?;
            show::list(args, &networks)
        }
        Action::Inspect(args) => {
            networks.ensure_default()?;
            show::inspect(args, &networks)
        }
        Action::Rm { force, networks: names } => {
            each(names, |name| match networks.look_up(name)? {
                None if *force => Ok(Done::NotThere),
                _ => networks.remove(&networks.find(name)?).map(Done::from),
            })
        }
        Action::Prune { force, filter } => prune(*force, filter, &networks),
    }
}

fn create(args: &Create, networks: &Networks<'_>) -> Outcome {
    let driver = driver(args)?;
    let mut network = new_network(networks, &args.name, args.subnet, args.gateway)?;
    network.internal = args.internal;
    network.range = args.ip_range;
    network.reserved = args.aux_address.iter().cloned().collect();
    network.check_parts()?;
    network.labels = args
        .label
        .iter()
        .map(|label| label.split_once('=').unwrap_or((label, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    network.driver = driver;
    networks.create(&network)?;
    say!("{}", network.id);
    Ok(0)
}

fn driver(args: &Create) -> Result<Driver, Failure> {
    let mut parent = None;
    for option in &args.opt {
        match option.split_once('=') {
            Some(("parent", name)) if args.driver != "bridge" => parent = Some(name.to_owned()),
            Some(("macvlan_mode", "bridge")) if args.driver != "bridge" => {}
            _ => {
                let message = format!("driver {} has no option `{option}`", args.driver);
                return Err(Failure::new(message).hint("macvlan has parent=INTERFACE"));
            }
        }
    }
    let parent = || match &parent {
        Some(name) if runtime::network::is_there(name) => Ok(name.clone()),
        Some(name) => Err(Failure::new(format!("the machine has no interface {name}"))),
        None => Err(Failure::new(format!("driver {} needs an interface", args.driver))
            .hint("name it with -o parent=INTERFACE")),
    };
    match args.driver.as_str() {
        "bridge" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan { parent: parent()? }),
        other => Err(Failure::new(format!("there is no network driver `{other}`"))
            .hint("there are bridge and macvlan")),
    }
}

fn prune(force: bool, filter: &[String], networks: &Networks<'_>) -> Outcome {
    let meant = Prunable::read(filter)?;
    let question = "This will remove all custom networks not used by at least one container.";
    if !force && !confirmed(question)? {
        return Ok(0);
    }
    let removed = remove_unused(networks, &meant)?;
    if !removed.is_empty() {
        say!("Deleted Networks:\n{}", removed.join("\n"));
    }
    Ok(0)
}

/// Removes those that were made and that no container is on; answers with their names.
pub(super) fn remove_unused(
    networks: &Networks<'_>,
    meant: &Prunable,
) -> Result<Vec<String>, Failure> {
    let mut removed = Vec::new();
    for network in networks.all()? {
        let is_free = network.name != DEFAULT && networks.endpoints(&network)?.is_empty();
        if is_free && meant.takes(network.created.parse().ok(), &network.labels) {
            networks.remove(&network)?;
            removed.push(network.name);
        }
    }
    Ok(removed)
}
