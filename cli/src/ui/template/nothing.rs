//! What docker prints of a field that holds nothing: Go knows what it would be, JSON does not.

use serde_json::Value;

use crate::ui::human;

/// What Go prints of an entry that a map does not have.
pub(super) const NO_VALUE: &str = "<no value>";

/// Fields that docker leaves out of its JSON while they hold nothing.
const LEFT_OUT: &[&str] =
    &["Annotations", "Driver", "Health", "Healthcheck", "Init", "Name", "Shell", "StopTimeout"];

/// Fields that would hold a text: those of a mount that is no volume.
const TEXTS: &[&str] = &["Driver", "Name"];

/// Fields that would hold a map.
const MAPS: &[&str] = &[
    "Annotations",
    "Attributes",
    "Config",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "LogOpts",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// Fields that would hold a list.
const LISTS: &[&str] = &[
    "Aliases",
    "Args",
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "CapAdd",
    "CapDrop",
    "Cmd",
    "DNSNames",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "MaskedPaths",
    "Mounts",
    "OnBuild",
    "ReadonlyPaths",
    "RepoDigests",
    "RepoTags",
    "SecurityOpt",
    "Shell",
    "Ulimits",
    "VolumesFrom",
];

/// Whether a field holds a map, whose entries have names of anybody's choice.
pub(super) fn is_map(field: &str) -> bool {
    field != "Config" && MAPS.contains(&field)
}

/// Whether a field may be missing where others are named.
pub(super) fn may_lack(owner: &str, field: &str) -> bool {
    LEFT_OUT.contains(&field) || owner == CHECK && (field == "Retries" || SPANS.contains(&field))
}

/// The field that says how a container's health is checked.
const CHECK: &str = "Healthcheck";
/// What of it are lengths of time, which Go prints as such.
const SPANS: [&str; 4] = ["Interval", "StartInterval", "StartPeriod", "Timeout"];

/// A field of another as Go prints it, if that knows more of it than that it is a number.
pub(super) fn typed(owner: &str, field: &str, value: &Value) -> Option<String> {
    let number = value.as_i64().unwrap_or_default();
    match field {
        _ if owner != CHECK => None,
        "Retries" => Some(number.to_string()),
        field if SPANS.contains(&field) => Some(human::span(number)),
        _ => None,
    }
}

/// As it is printed.
pub(super) fn nothing(field: &str) -> &'static str {
    match field {
        _ if MAPS.contains(&field) => "map[]",
        _ if LISTS.contains(&field) => "[]",
        _ if TEXTS.contains(&field) => "",
        _ => "<nil>",
    }
}
