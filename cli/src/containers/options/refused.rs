//! Options of docker's `run` and `create` that are not here, and why.

use crate::refused::refused;

refused! { Refused {
    cgroup_parent: "the control groups of containers are made beside that of the program which \
                    starts them: start it in the group that is meant";
    cpu_rt_period: "containers have no time on processors that is theirs alone: see --cpus and \
                    --cpu-shares";
    cpu_rt_runtime: "containers have no time on processors that is theirs alone: see --cpus and \
                     --cpu-shares";
    device_cgroup_rule: "devices are given one by one, when a container starts: see --device";
    gpus: "there is no driver of graphics processors: give its devices with --device";
    ip6: "networks have addresses of version 4 alone";
    kernel_memory: "the kernel does not limit its own memory any more: see --memory";
    link_local_ip: "an interface has one address: see --ip";
    runtime: "there is no other runtime than the one in this program";
    storage_opt: "the size of a container's files is not limited";
    use_api_socket: "there is no daemon that a container could be given the socket of";
}}

// Options that ask for what is always so, and are refused when they ask for anything else.
#[derive(Debug, clap::Args)]
#[allow(dead_code, reason = "there is nothing else to choose")]
pub(crate) struct AsItIs {
    /// Which driver keeps the volumes that are made; only `local` is there
    #[arg(long, value_name = "DRIVER", value_parser = ["", "local"])]
    volume_driver: Option<String>,
    /// Take images whatever they are signed with, as is always done
    #[arg(long, value_name = "BOOL", value_parser = ["true"], num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    disable_content_trust: Option<String>,
}
