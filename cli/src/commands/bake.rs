//! `tierce bake`: several builds, as a file describes them.

mod files;
mod list;
mod run;
mod surroundings;
mod words;

use std::path::PathBuf;

use bake::{Definitions, Plan};
use oci::Platform;

use self::list::List;
use self::surroundings::Environment;
use crate::app::App;
use crate::error::{Failure, Outcome};
use crate::ui::say;

// What `tierce bake` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The builder: all that were made are this program, with one cache
    #[arg(long, value_name = "NAME", env = "BUILDX_BUILDER", hide_env_values = true)]
    builder: Option<String>,
    /// A file of definitions: HCL, JSON or a compose file, `-` for standard input; may be given
    /// several times. If none is named, those of the usual names here
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Print what would be built, as JSON, and build nothing
    #[arg(long, conflicts_with = "list")]
    print: bool,
    /// List the targets or variables that there are: type=targets or type=variables, with
    /// format=json
    #[arg(long, value_name = "WHAT")]
    list: Option<List>,
    /// Say something about targets in place of their file: PATTERN.KEY=VALUE, or KEY+= to add
    #[arg(long, value_name = "PATTERN.KEY=VALUE")]
    set: Vec<String>,
    /// Push the images: --set=*.push=true
    #[arg(long)]
    push: bool,
    /// Put the images into the store: --set=*.load=true
    #[arg(long)]
    load: bool,
    /// Run every step again: --set=*.no-cache=true
    #[arg(long)]
    no_cache: bool,
    /// Ask the registry for base images: --set=*.pull=true
    #[arg(long)]
    pull: bool,
    /// Put down what the images were made of: --set=*.attest=type=provenance
    #[arg(long, value_name = "true|KEY=VALUE,…")]
    provenance: Option<String>,
    /// As `tierce build` has it
    #[arg(long, value_name = "false")]
    sbom: Option<String>,
    /// Check the Dockerfiles and build nothing: --call=check
    #[arg(long, conflicts_with = "call")]
    check: bool,
    /// What is done with the Dockerfiles: build, check, outline or targets
    #[arg(long, value_name = "METHOD")]
    call: Option<String>,
    /// Let targets ask for more: network.host, security.insecure, device; files need no leave
    #[arg(long, value_name = "WHAT")]
    allow: Vec<String>,
    /// How progress is shown
    #[arg(long, value_name = "HOW", env = "BUILDKIT_PROGRESS", hide_env_values = true)]
    progress: Option<String>,
    /// Write what was built and pushed to this file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// How many targets are built at once; 0 for as many as are good
    #[arg(short, long, value_name = "NUMBER", default_value_t = 0)]
    jobs: usize,
    /// Targets or groups, or patterns of them [default: default]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Carries it out; the status is that of the first build that failed.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    super::builder::check_builder(args.builder.as_deref(), app)?;
    if args.targets.first().is_some_and(|target| target.contains("://")) {
        return Err(Failure::new("definitions are not read from elsewhere")
            .hint("check the repository out, and name its file with `--file`"));
    }
    let environment = Environment::new(&app.machine)?;
    let files = files::read(&args.file, app)?;
    let host = Platform::host().to_string();
    let given = [("BAKE_CMD_CONTEXT", "cwd://"), ("BAKE_LOCAL_PLATFORM", host.as_str())];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let definitions = Definitions::read(&files, &given, &environment)
        .map_err(|error| Failure::new(error.to_string()))?;
    if let Some(list) = args.list {
        return list.print(&definitions);
    }
    let plan = plan(args, app, &definitions, &environment)?;
    if args.print {
        say!("{}", plan.to_json());
        return Ok(0);
    }
    check_allowed(args, &plan)?;
    run::run(args, app, &plan)
}

fn plan(
    args: &Args,
    app: &App,
    definitions: &Definitions,
    environment: &Environment<'_>,
) -> Result<Plan, Failure> {
    let mut overrides = args.set.clone();
    let mut set = |key: &str, value: &str| overrides.push(format!("*.{key}={value}"));
    let attest = |kind: &str, text: &str| match text {
        "true" | "1" => format!("type={kind},disabled=false"),
        "false" | "0" => format!("type={kind},disabled=true"),
        _ => format!("type={kind},{text}"),
    };
    for (key, is_set) in
        [("push", args.push), ("load", args.load), ("no-cache", args.no_cache), ("pull", args.pull)]
    {
        if is_set {
            set(key, "true");
        }
    }
    for (kind, text) in [("sbom", &args.sbom), ("provenance", &args.provenance)] {
        if let Some(text) = text {
            set("attest", &attest(kind, text));
        }
    }
    if let Some(call) = &args.call {
        set("call", call);
    } else if args.check {
        set("call", "check");
    }
    let names = match args.targets.is_empty() {
        true => vec!["default".to_owned()],
        false => args.targets.clone(),
    };
    let mut plan = definitions
        .plan(&names, &overrides, environment)
        .map_err(|error| Failure::new(error.to_string()))?;
    if let Some(epoch) = app.machine.source_date_epoch() {
        for target in plan.targets.values_mut() {
            target.args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert(Some(epoch.clone()));
        }
    }
    Ok(plan)
}

/// Refuses what targets ask for and nobody allowed.
fn check_allowed(args: &Args, plan: &Plan) -> Result<(), Failure> {
    let is_allowed = |wanted: &str| {
        let kind = wanted.split('=').next().unwrap_or(wanted);
        args.allow.iter().any(|allowed| allowed == wanted || allowed == kind)
    };
    for (name, target) in &plan.targets {
        if let Some(wanted) = target.entitlements.iter().find(|wanted| !is_allowed(wanted)) {
            return Err(Failure::new(format!("target {name} asks for {wanted}"))
                .hint(format!("let it have that with `--allow {wanted}`")));
        }
    }
    Ok(())
}
