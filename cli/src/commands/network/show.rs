//! What networks there are: a network of the machine's, one of nothing, and those that were made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Failure, Outcome};
use crate::networks::mac::MacAddress;
use crate::networks::{DEFAULT, Driver, Network, Networks};
use crate::ui::each::show_each;
use crate::ui::filter::{Filters, joined, matches_label};
use crate::ui::list::{List, ListArgs};

/// What is always there, with its driver.
const BUILT_IN: [(&str, &str); 2] = [("host", "host"), ("none", "null")];

// What `tierce network ls` takes.
#[derive(clap::Args)]
pub(super) struct Ls {
    /// Only those that are so: name=PATTERN, id=BEGINNING, label=NAME[=VALUE], driver=bridge,
    /// type=custom|builtin, scope=local, dangling=BOOL
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    list: ListArgs,
}

// What `tierce network inspect` takes.
#[derive(clap::Args)]
pub(super) struct Inspect {
    /// Names or ids of networks
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
    /// `json`, or placeholders: '{{.Id}}'
    #[arg(short, long, default_value = "json", value_name = "FORMAT")]
    format: String,
}

/// A network as lists have it.
struct Row {
    id: String,
    name: String,
    driver: String,
    created: String,
    internal: bool,
    labels: BTreeMap<String, String>,
    /// Whether nobody made it.
    built_in: bool,
    /// Whether somebody is on it.
    used: bool,
}

impl Row {
    fn of(network: Network, networks: &Networks<'_>) -> Result<Row, Failure> {
        Ok(Row {
            used: !networks.endpoints(&network)?.is_empty(),
            built_in: network.name == DEFAULT,
            driver: network.driver.name().to_owned(),
            id: network.id,
            name: network.name,
            created: network.created,
            internal: network.internal,
            labels: network.labels,
        })
    }

    fn built_in(name: &str, driver: &str) -> Row {
        Row {
            id: built_in_id(name),
            name: name.to_owned(),
            driver: driver.to_owned(),
            created: String::new(),
            internal: false,
            labels: BTreeMap::new(),
            built_in: true,
            used: true,
        }
    }

    fn is_meant(&self, filters: &Filters, dangling: Option<bool>) -> bool {
        let kind = if self.built_in { "builtin" } else { "custom" };
        // What is always there is in nobody's way.
        dangling.is_none_or(|wanted| wanted != (self.used || self.built_in))
            && filters.patterns("name").match_one(&self.name)
            && filters.any("id", |beginning| self.id.starts_with(beginning))
            && filters.any("driver", |driver| driver == self.driver)
            && filters.any("type", |wanted| wanted == kind)
            && filters.any("scope", |scope| scope == "local")
            && filters.every("label", |label| matches_label(label, &self.labels))
    }

    fn shown(&self, whole: bool) -> Value {
        json!({
            "CreatedAt": self.created,
            "Driver": self.driver,
            "ID": if whole { self.id.as_str() } else { &self.id[..12] },
            "IPv4": "true",
            "IPv6": "false",
            "Internal": self.internal.to_string(),
            "Labels": joined(&self.labels),
            "Name": self.name,
            "Scope": "local",
        })
    }
}

/// The same on every machine, for who compares ids.
fn built_in_id(name: &str) -> String {
    oci::Algorithm::Sha256.digest(name.as_bytes()).hex().to_owned()
}

/// Lists networks by name.
pub(super) fn list(args: &Ls, networks: &Networks<'_>) -> Outcome {
    let known = ["name", "id", "label", "driver", "type", "scope", "dangling"];
    let filters = Filters::read(&args.filter, &known)?;
    filters.only("type", &["builtin", "custom"])?;
    filters.only("scope", &["local", "global", "swarm"])?;
    let dangling = filters.truth("dangling")?;
    let mut rows: Vec<Row> =
        BUILT_IN.iter().map(|(name, driver)| Row::built_in(name, driver)).collect();
    for network in networks.all()? {
        rows.push(Row::of(network, networks)?);
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let mut list = List::new(&["ID|NETWORK ID", "Name", "Driver", "Scope"], &args.list)?;
    for row in rows.iter().filter(|row| row.is_meant(&filters, dangling)) {
        list.row(row.shown(args.list.no_trunc));
    }
    list.print("ID")
}

/// Shows all about some.
pub(super) fn inspect(args: &Inspect, networks: &Networks<'_>) -> Outcome {
    show_each(&args.networks, &args.format, |name| object(name, networks))
}

fn object(name: &str, networks: &Networks<'_>) -> Result<Value, Failure> {
    match built_in(name) {
        Some(value) => Ok(value),
        None => inspected(&networks.find(name)?, networks),
    }
}

/// One that is always there, by its name.
pub(in crate::commands) fn built_in(name: &str) -> Option<Value> {
    let (name, driver) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    let mut value = common(name, &built_in_id(name), driver);
    value["IPAM"] = json!({ "Driver": "default", "Options": null, "Config": null });
    Some(value)
}

/// What docker's fields of every network are.
fn common(name: &str, id: &str, driver: &str) -> Value {
    json!({
        "Name": name,
        "Id": id,
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": true,
        "EnableIPv6": false,
        "IPAM": {},
        "Internal": false,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": {},
        "Options": {},
        "Labels": {},
    })
}

/// Which addresses it has; docker leaves out what nobody chose.
fn addresses(network: &Network) -> Value {
    let mut value = json!({ "Subnet": network.subnet, "Gateway": network.gateway });
    if let Some(range) = network.range {
        value["IPRange"] = json!(range);
    }
    if !network.reserved.is_empty() {
        value["AuxiliaryAddresses"] = json!(network.reserved);
    }
    value
}

/// A network with docker's fields.
pub(in crate::commands) fn inspected(
    network: &Network,
    networks: &Networks<'_>,
) -> Result<Value, Failure> {
    let mut containers = serde_json::Map::new();
    for endpoint in networks.endpoints(network)? {
        let mac = endpoint.mac.unwrap_or_else(|| MacAddress::by_default(endpoint.address));
        let shown = json!({
            "Name": endpoint.names.first(),
            "EndpointID": endpoint.container,
            "MacAddress": mac,
            "IPv4Address": format!("{}/{}", endpoint.address, network.subnet.prefix()),
            "IPv6Address": "",
        });
        containers.insert(endpoint.container, shown);
    }
    let mut value = common(&network.name, &network.id, network.driver.name());
    for (field, content) in [
        ("Created", json!(network.created)),
        (
            "IPAM",
            json!({
                "Driver": "default",
                "Options": {},
                "Config": [addresses(network)],
            }),
        ),
        ("Internal", json!(network.internal)),
        ("Containers", json!(containers)),
        (
            "Options",
            match &network.driver {
                Driver::Bridge => json!({ "interface": network.bridge() }),
                Driver::Macvlan { parent } => json!({ "parent": parent }),
            },
        ),
        ("Labels", json!(network.labels)),
    ] {
        value[field] = content;
    }
    Ok(value)
}
