//! `tierce network`: networks of containers.

use std::net::Ipv4Addr;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::App;
use crate::containers::each;
use crate::error::{Failure, Outcome};
use crate::networks::connect::Connection;
use crate::networks::join::new_network;
use crate::networks::{DEFAULT, Driver, Network, Networks, Subnet};
use crate::ui::ask::confirmed;
use crate::ui::filter::{Filters, joined, matches_label};
use crate::ui::human;
use crate::ui::list::{List, ListArgs};
use crate::ui::say;
use crate::ui::template::Template;

/// What `tierce network` takes.
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
    Ls(Ls),
    /// Show everything about networks
    Inspect(Inspect),
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
}

#[derive(clap::Args)]
struct Ls {
    /// Only those that are so: name=PART, id=BEGINNING, label=NAME[=VALUE], driver=bridge
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Args)]
struct Inspect {
    /// Names or ids of networks
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
    /// `json`, or placeholders: '{{.Id}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let mut networks = Networks::lock(app.store()?)?;
    match &args.action {
        Action::Create(args) => create(args, &networks),
        Action::Connect(args) => {
            let container = app.store()?.container(&args.container)?;
            let (network, aliases) = (args.network.clone(), args.alias.clone());
            networks.connect(&container, Connection { network, aliases, address: args.ip })?;
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
        Action::Ls(args) => list(args, &networks),
        Action::Inspect(args) => inspect(args, &networks),
        Action::Rm { force, networks: names } => {
            each(names, |name| match networks.look_up(name)? {
                None if *force => Ok(()),
                _ => networks.remove(&networks.find(name)?),
            })
        }
        Action::Prune { force, filter } => prune(*force, filter, &networks),
    }
}

fn create(args: &Create, networks: &Networks<'_>) -> Outcome {
    let driver = driver(args)?;
    let mut network = new_network(networks, &args.name, args.subnet, args.gateway)?;
    network.internal = args.internal;
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

fn list(args: &Ls, networks: &Networks<'_>) -> Outcome {
    let filters = Filters::read(&args.filter, &["name", "id", "label", "driver"])?;
    let mut list = List::new(&["ID|NETWORK ID", "Name", "Driver", "Scope"], &args.list)?;
    for network in networks.all()? {
        let shown = filters.any("name", |part| network.name.contains(part))
            && filters.any("id", |beginning| network.id.starts_with(beginning))
            && filters.any("driver", |driver| driver == network.driver.name())
            && filters.every("label", |label| matches_label(label, &network.labels));
        if shown {
            let id = if args.list.no_trunc { &network.id } else { &network.id[..12] };
            list.row(json!({
                "CreatedAt": network.created,
                "Driver": network.driver.name(),
                "ID": id,
                "IPv4": "true",
                "IPv6": "false",
                "Internal": network.internal.to_string(),
                "Labels": joined(&network.labels),
                "Name": network.name,
                "Scope": "local",
            }));
        }
    }
    list.print("ID")
}

fn inspect(args: &Inspect, networks: &Networks<'_>) -> Outcome {
    let template = match args.format.as_str() {
        "json" => None,
        text => Some(Template::parse(text).map_err(Failure::new)?),
    };
    let mut found = Vec::new();
    for name in &args.networks {
        found.push(inspected(&networks.find(name)?, networks)?);
    }
    match template {
        None => say!("{:#}", Value::Array(found)),
        Some(template) => {
            for network in &found {
                say!("{}", template.render(network).map_err(Failure::new)?);
            }
        }
    }
    Ok(0)
}

/// A network with docker's fields.
pub(super) fn inspected(network: &Network, networks: &Networks<'_>) -> Result<Value, Failure> {
    let mut containers = serde_json::Map::new();
    for endpoint in networks.endpoints(network)? {
        let address = format!("{}/{}", endpoint.address, network.subnet.prefix());
        let shown = json!({ "Name": endpoint.names.first(), "IPv4Address": address });
        containers.insert(endpoint.container, shown);
    }
    let options = match &network.driver {
        Driver::Bridge => json!({ "interface": network.bridge() }),
        Driver::Macvlan { parent } => json!({ "parent": parent }),
    };
    Ok(json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver.name(),
        "EnableIPv6": false,
        "IPAM": {
            "Driver": "default",
            "Config": [{ "Subnet": network.subnet, "Gateway": network.gateway }],
        },
        "Internal": network.internal,
        "Containers": containers,
        "Options": options,
        "Labels": network.labels,
    }))
}

fn prune(force: bool, filter: &[String], networks: &Networks<'_>) -> Outcome {
    let filters = Filters::read(filter, &["until", "label", "label!"])?;
    let now = Timestamp::now();
    let until = filters
        .values("until")
        .map(|text| human::moment(text, now).map_err(Failure::new))
        .collect::<Result<Vec<_>, _>>()?;
    let is_meant = |network: &Network| {
        let created: Timestamp = network.created.parse().unwrap_or(now);
        until.iter().all(|time| created < *time)
            && filters.every("label", |label| matches_label(label, &network.labels))
            && filters.every("label!", |label| !matches_label(label, &network.labels))
    };
    let question = "This will remove all custom networks not used by at least one container.";
    if !force && !confirmed(question)? {
        return Ok(0);
    }
    let mut removed = Vec::new();
    for network in networks.all()? {
        let is_free = networks.endpoints(&network)?.is_empty();
        if network.name != DEFAULT && is_free && is_meant(&network) {
            networks.remove(&network)?;
            removed.push(network.name);
        }
    }
    if !removed.is_empty() {
        say!("Deleted Networks:\n{}", removed.join("\n"));
    }
    Ok(0)
}
