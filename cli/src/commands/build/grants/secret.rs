//! `--secret`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use builder::Secret;
use builder::instruction::csv_fields;

use crate::error::{Doing, Failure};
use crate::machine::Machine;

/// `id=ID[,src=FILE|,env=NAME|,type=file|env]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretArg {
    /// What a Dockerfile calls it.
    pub(super) id: String,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// The variable of this name; empty if there is none.
    Variable(String),
    File(PathBuf),
    /// The variable that is called as the secret is, else the file.
    Id,
}

impl FromStr for SecretArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut id, mut file, mut variable, mut is_variable) = (None, None, None, false);
        for field in csv_fields(text).map_err(|error| error.message)? {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| format!("invalid field `{field}`: it must be key=value"))?;
            let value = Some(value.to_owned()).filter(|value| !value.is_empty());
            match key.to_ascii_lowercase().as_str() {
                "id" => id = value,
                "src" | "source" => file = value,
                "env" => variable = value,
                "type" => match value.as_deref() {
                    Some("file") => is_variable = false,
                    Some("env") => is_variable = true,
                    _ => return Err(format!("`{field}`: the types are file and env")),
                },
                _ => return Err(format!("unknown key `{key}`; there are id, src, env and type")),
            }
        }
        if is_variable && variable.is_none() {
            variable = file.take();
        }
        let source = match (variable, file) {
            (Some(name), _) => Source::Variable(name),
            (None, Some(path)) => Source::File(path.into()),
            (None, None) => Source::Id,
        };
        Ok(Self { id: id.ok_or("a secret needs an id: id=ID")?, source })
    }
}

impl SecretArg {
    /// What it holds now.
    pub(super) fn read(&self, machine: &Machine) -> Result<Secret, Failure> {
        let content = match &self.source {
            Source::Variable(name) => machine.variable_bytes(name).unwrap_or_default(),
            Source::File(path) => self.file(path)?,
            Source::Id => match machine.variable_bytes(&self.id) {
                Some(content) => content,
                None => self.file(Path::new(&self.id))?,
            },
        };
        if content.len() > Secret::MAX {
            let most = Secret::MAX >> 10;
            let message = format!("the secret {:?} is larger than {most} KiB", self.id);
            return Err(Failure::new(message));
        }
        Ok(Secret::new(content))
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        let cannot = || format!("cannot read the secret {:?} from {}", self.id, path.display());
        let mut content = Vec::new();
        let file = File::open(path).doing(cannot)?;
        file.take(Secret::MAX as u64 + 1).read_to_end(&mut content).doing(cannot)?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_a_file_a_variable_or_what_has_its_name() {
        let file = |path: &str| Source::File(path.into());
        let variable = |name: &str| Source::Variable(name.into());
        for (text, source) in [
            ("id=a", Source::Id),
            ("id=a,type=env", Source::Id),
            ("id=a,src=f", file("f")),
            ("ID=a,Source=f", file("f")),
            ("\"id=a\",\"src=f,g\"", file("f,g")),
            ("id=a,type=file,src=f", file("f")),
            ("id=a,env=V", variable("V")),
            ("id=a,src=V,type=env", variable("V")),
            ("id=a,type=file,env=V", variable("V")),
            ("id=a,src=f,env=V", variable("V")),
        ] {
            let parsed: Result<SecretArg, _> = text.parse();
            assert_eq!(parsed, Ok(SecretArg { id: "a".into(), source }), "{text}");
        }
        for text in ["", "a", "src=f", "id=", "id=a,type=x", "id=a,mode=1", "\"id=a"] {
            assert!(text.parse::<SecretArg>().is_err(), "{text}");
        }
    }
}
