//! `tierce manifest create`, `add`, `annotate` and `rm`.

use oci::Reference;
use oci::edit::PlatformChange;

use super::list::{Entry, List, Lists};
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Failure, Outcome};
use crate::ui::say;

// What `tierce manifest create` takes.
#[derive(clap::Args)]
pub(super) struct Create {
    /// Add to the list if it was begun before
    #[arg(short, long)]
    amend: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The name of the list
    list: Reference,
    /// Images that it has; of an index, all that this lists
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

// What `tierce manifest add` takes.
#[derive(clap::Args)]
pub(super) struct Add {
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The name of the list
    list: Reference,
    /// The images; of an index, all that this lists
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

// What `tierce manifest annotate` takes.
#[derive(clap::Args)]
pub(super) struct Annotate {
    #[command(flatten)]
    platform: PlatformArgs,
    /// The name of the list
    list: Reference,
    /// The image, by the name that it was added by, or by digest
    image: String,
}

// What `tierce manifest rm` takes.
#[derive(clap::Args)]
pub(super) struct Rm {
    /// The names of lists
    #[arg(value_name = "LIST", required = true)]
    lists: Vec<Reference>,
}

// Where an image runs, if not where its config says.
#[derive(clap::Args)]
struct PlatformArgs {
    /// The operating system that it is for
    #[arg(long)]
    os: Option<String>,
    /// The architecture that it is for
    #[arg(long)]
    arch: Option<String>,
    /// The variant of the architecture
    #[arg(long)]
    variant: Option<String>,
    /// The version of the operating system
    #[arg(long)]
    os_version: Option<String>,
    /// What the operating system must have
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    os_features: Vec<String>,
}

impl PlatformArgs {
    fn change(&self) -> PlatformChange {
        PlatformChange {
            os: self.os.clone(),
            architecture: self.arch.clone(),
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
        }
    }
}

/// Begins a list.
pub(super) fn create(args: &Create, app: &App) -> Outcome {
    let lists = Lists::open(app)?;
    let mut list = match lists.find(&args.list)? {
        Some(_) if !args.amend => {
            return Err(Failure::new(format!(
                "the list `{}` was begun before",
                args.list.familiar()
            ))
            .hint("add to it with `--amend`, or remove it with `tierce manifest rm`"));
        }
        found => found.unwrap_or_default(),
    };
    add_images(&mut list, &args.images, &PlatformChange::default(), app, &args.connection)?;
    lists.put(&args.list, &list)?;
    say!("Created manifest list {}", args.list);
    Ok(0)
}

/// Adds to a list.
pub(super) fn add(args: &Add, app: &App) -> Outcome {
    let lists = Lists::open(app)?;
    let mut list = lists.existing(&args.list)?;
    add_images(&mut list, &args.images, &args.platform.change(), app, &args.connection)?;
    lists.put(&args.list, &list)?;
    say!("{}", args.list);
    Ok(0)
}

fn add_images(
    list: &mut List,
    images: &[String],
    platform: &PlatformChange,
    app: &App,
    connection: &ConnectionArgs,
) -> Result<(), Failure> {
    let lease = app.store()?.lease()?;
    for image in images {
        let mut entry = Entry::find(image, app, &lease, connection)?;
        entry.platform = platform.clone();
        list.add(entry);
    }
    Ok(())
}

/// Says where an image runs.
pub(super) fn annotate(args: &Annotate, app: &App) -> Outcome {
    let lists = Lists::open(app)?;
    let mut list = lists.existing(&args.list)?;
    let entry = list.entries.iter_mut().find(|entry| entry.is(&args.image)).ok_or_else(|| {
        Failure::new(format!("`{}` is not on the list `{}`", args.image, args.list.familiar()))
    })?;
    entry.platform = std::mem::take(&mut entry.platform).then(args.platform.change());
    lists.put(&args.list, &list)?;
    Ok(0)
}

/// Removes lists.
pub(super) fn rm(args: &Rm, app: &App) -> Outcome {
    let lists = Lists::open(app)?;
    for name in &args.lists {
        if !lists.remove(name)? {
            return Err(Failure::new(format!("no list `{}` was begun here", name.familiar())));
        }
    }
    Ok(0)
}
