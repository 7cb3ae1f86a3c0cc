//! Options of docker's, buildah's, podman's and kaniko's builds that are not here, with the reason.

use crate::refused::refused;

refused! { Refused {
    squash: "each step has a layer of its own, which the next build begins with: put the layers of \
             the image together with `tierce image flatten`";
    squash_all: "each step has a layer of its own, which the next build begins with: put the layers \
                 of the image together with `tierce image flatten`";
    timestamp: "times of files are brought down to one, and none is brought up: see \
                --source-date-epoch";
    manifest: "a list is made of images that registries have: push the image, and add it with \
               `tierce manifest add`";
    layer_label: "no images are kept of steps, which could have labels";
    device: "devices are asked for by RUN --device, as the Container Device Interface names them: \
             see --cdi-spec-dir and --allow";
    security_opt: "RUN asks for all privileges by --security=insecure: see --allow";
    cgroup_parent: "the control groups of RUN are made beside that of the program which builds: \
                    start it in the group that is meant";
    cgroupns: "RUN always has a namespace of its own for control groups";
    userns: "RUN has the user namespace that the build has";
    userns_uid_map: "which ids there are is said in /etc/subuid";
    userns_gid_map: "which ids there are is said in /etc/subgid";
    userns_uid_map_user: "which ids there are is said in /etc/subuid";
    userns_gid_map_group: "which ids there are is said in /etc/subgid";
    group_add: "RUN has the groups that the image gives its user";
    ipc: "RUN shares nothing with the machine but its network";
    pid: "RUN shares nothing with the machine but its network";
    uts: "RUN shares nothing with the machine but its network: its name is that of the build \
          argument BUILDKIT_SANDBOX_HOSTNAME";
    runtime: "there is no other runtime than the one in this program";
    runtime_flag: "there is no other runtime than the one in this program";
    hooks_dir: "no programs are run beside RUN";
    no_hosts: "RUN always finds /etc/hosts; the image does not get it";
    no_hostname: "RUN always finds /etc/hostname; the image does not get it";
    compat_volumes: "what RUN writes into a VOLUME is kept, as docker keeps it";
    cpp_flag: "Dockerfiles are not run through a preprocessor: see INCLUDE";
    stdin: "RUN has no standard input";
    logfile: "redirect standard error: 2>FILE";
    logsplit: "redirect standard error: 2>FILE";
    debug: "what happens below the surface is shown with TIERCE_LOG=debug in the environment";
    retry: "what fails on the way to a registry is tried again as often as it is worth it";
    retry_delay: "what fails on the way to a registry is tried again as soon as it is worth it";
    cache_ttl: "results of steps do not grow old: see --no-cache and `tierce builder prune`";
    cert_dir: "certificates are read from /etc/docker/certs.d and /etc/containers/certs.d: see also \
               --ca-file";
    all_platforms: "say which platforms are meant: --platform";
    os_version: "a version is part of a platform: --platform 'windows(10.0.1)/amd64'";
    os_feature: "platforms have no features here";
    unsetannotation: "notes of base images are not inherited";
    sign_by: "images are not signed: sign the digest once it is pushed";
    decryption_key: "layers that are encrypted are not read";
    cw: "no images are made for confidential machines";
    sbom_scanner_image: "no bills of materials are made: scan the image once it is built";
    sbom_scanner_command: "no bills of materials are made: scan the image once it is built";
    sbom_output: "no bills of materials are made: scan the image once it is built";
    sbom_purl_output: "no bills of materials are made: scan the image once it is built";
    sbom_image_output: "no bills of materials are made: scan the image once it is built";
    sbom_image_purl_output: "no bills of materials are made: scan the image once it is built";
    sbom_merge_strategy: "no bills of materials are made: scan the image once it is built";
    destination: "say --tag NAME, and --push";
    context_sub_path: "a context is DIRECTORY/SUB, or URL#REFERENCE:SUB";
    no_push: "nothing is pushed without --push";
    tar_path: "say --output type=docker,dest=FILE";
    oci_layout_path: "say --output type=oci,tar=false,dest=DIRECTORY";
    digest_file: "say --metadata-file FILE: `containerimage.digest` is in there";
    image_name_with_digest_file: "say --metadata-file FILE";
    cache_repo: "say --cache-from type=registry,ref=NAME and --cache-to type=registry,ref=NAME,mode=max";
    cache_dir: "results of steps are kept in the store: see --root";
    single_snapshot: "put the layers of the image together with `tierce image flatten`";
    snapshot_mode: "what a step changed is known from its layer";
    reproducible: "say --source-date-epoch SECONDS";
    skip_tls_verify: "say --tls-verify=false";
    insecure: "say --tls-verify=false";
    registry_mirror: "mirrors are read from registries.conf and hosts.toml";
    use_new_run: "there is one way to RUN";
} }
