//! What docker prints of a field that holds nothing: Go knows what it would be, JSON does not.

/// Fields that would hold a map.
const MAPS: &[&str] = &[
    "Annotations",
    "Config",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "LogOpts",
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

/// As it is printed.
pub(super) fn nothing(field: &str) -> &'static str {
    match field {
        _ if MAPS.contains(&field) => "map[]",
        _ if LISTS.contains(&field) => "[]",
        _ => "<nil>",
    }
}
