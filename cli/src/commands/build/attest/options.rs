//! How attestations are asked for.

use std::str::FromStr;

use builder::instruction::csv_fields;

/// How much a provenance tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) enum Mode {
    /// What went in from elsewhere; no build arguments, steps and sources.
    Min,
    /// All of it.
    #[default]
    Max,
}

/// The form of a provenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) enum Version {
    /// SLSA 0.2.
    #[default]
    V02,
    /// SLSA 1.0.
    V1,
}

/// How a provenance is put down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct ProvenanceOptions {
    pub(in super::super) mode: Mode,
    pub(in super::super) version: Version,
    /// Who builds.
    pub(in super::super) builder_id: String,
    /// Whether it is promised that the same comes out again.
    pub(in super::super) reproducible: bool,
    /// The file beside an output that is files alone.
    pub(in super::super) filename: String,
    /// Whether it stands beside images only.
    pub(in super::super) inline_only: bool,
}

impl Default for ProvenanceOptions {
    fn default() -> ProvenanceOptions {
        ProvenanceOptions {
            mode: Mode::default(),
            version: Version::default(),
            builder_id: String::new(),
            reproducible: false,
            filename: "provenance.json".to_owned(),
            inline_only: false,
        }
    }
}

/// `--provenance`: none is one that is switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProvenanceArg(Option<ProvenanceOptions>);

impl ProvenanceArg {
    pub(super) fn options(&self) -> Option<&ProvenanceOptions> {
        self.0.as_ref()
    }
}

/// `--sbom`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SbomArg;

/// `--attest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attestation {
    Provenance(ProvenanceArg),
    Sbom(SbomArg),
}

impl Attestation {
    pub(super) fn provenance(&self) -> Option<&ProvenanceArg> {
        match self {
            Attestation::Provenance(provenance) => Some(provenance),
            Attestation::Sbom(SbomArg) => None,
        }
    }
}

fn truth(key: &str, text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("`{key}={text}` is neither true nor false")),
    }
}

/// The pairs of a text; a truth alone says whether it is switched on.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.is_empty() {
        return Err("it is empty: say true, false or mode=max".to_owned());
    }
    if let Ok(on) = truth("", text) {
        return Ok(vec![("disabled".to_owned(), (!on).to_string())]);
    }
    let mut pairs = Vec::new();
    for field in csv_fields(text).map_err(|error| error.message)? {
        let pair = field.split_once('=').ok_or_else(|| format!("`{field}` is not KEY=VALUE"))?;
        pairs.push((pair.0.trim().to_lowercase(), pair.1.to_owned()));
    }
    Ok(pairs)
}

impl ProvenanceArg {
    fn of(pairs: &[(String, String)]) -> Result<ProvenanceArg, String> {
        let mut options = ProvenanceOptions::default();
        let mut disabled = false;
        for (key, value) in pairs {
            match key.as_str() {
                "type" => {}
                "disabled" => disabled = truth(key, value)?,
                "mode" => {
                    options.mode = match value.as_str() {
                        "min" => Mode::Min,
                        "max" => Mode::Max,
                        _ => {
                            return Err(format!("there is no mode `{value}`: these are: min, max"));
                        }
                    }
                }
                "version" => {
                    options.version = match value.as_str() {
                        "v0.2" | "" => Version::V02,
                        "v1" => Version::V1,
                        _ => {
                            return Err(format!(
                                "there is no version `{value}` here: these are: v0.2, v1"
                            ));
                        }
                    }
                }
                "builder-id" => options.builder_id.clone_from(value),
                "reproducible" => options.reproducible = truth(key, value)?,
                "inline-only" => options.inline_only = truth(key, value)?,
                "filename" if is_file_name(value) => options.filename.clone_from(value),
                "filename" => return Err(format!("`{value}` is no name of a file")),
                _ => return Err(format!("a provenance has no `{key}` here")),
            }
        }
        Ok(ProvenanceArg((!disabled).then_some(options)))
    }
}

/// Whether it names a file in the directory itself.
fn is_file_name(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0'])
}

impl SbomArg {
    fn of(pairs: &[(String, String)]) -> Result<SbomArg, String> {
        let value = |wanted: &str| pairs.iter().find(|(key, _)| key == wanted);
        if let Some((key, value)) = value("disabled")
            && truth(key, value)?
        {
            return Ok(SbomArg);
        }
        match value("generator") {
            Some((_, image)) => Err(format!(
                "images that make bills of materials are not run: `{image}`; scan the image once \
                 it is built"
            )),
            None => {
                Err("no bills of materials are made: scan the image once it is built".to_owned())
            }
        }
    }
}

impl FromStr for ProvenanceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<ProvenanceArg, String> {
        ProvenanceArg::of(&pairs(text)?)
    }
}

impl FromStr for SbomArg {
    type Err = String;

    fn from_str(text: &str) -> Result<SbomArg, String> {
        SbomArg::of(&pairs(text)?)
    }
}

impl FromStr for Attestation {
    type Err = String;

    fn from_str(text: &str) -> Result<Attestation, String> {
        let pairs = pairs(text)?;
        let kind = pairs.iter().find(|(key, _)| key == "type").map(|(_, value)| value.as_str());
        match kind {
            Some("provenance") => ProvenanceArg::of(&pairs).map(Attestation::Provenance),
            Some("sbom") => SbomArg::of(&pairs).map(Attestation::Sbom),
            Some(other) => Err(format!("there is no attestation of type `{other}`")),
            None => Err("an attestation needs type=provenance or type=sbom".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provenance_is_asked_for_as_with_buildx() {
        let options = |text: &str| text.parse::<ProvenanceArg>().map(|arg| arg.0);
        assert_eq!(options("true"), Ok(Some(ProvenanceOptions::default())));
        assert_eq!(options("false"), Ok(None));
        assert_eq!(options("disabled=true,mode=max"), Ok(None));
        let min = options("mode=min,version=v1,builder-id=https://ci/1,reproducible=true");
        let min = min.unwrap().unwrap();
        assert_eq!((min.mode, min.version, min.reproducible), (Mode::Min, Version::V1, true));
        assert_eq!(min.builder_id, "https://ci/1");
        for text in ["", "mode=most", "version=v3", "color=red", "max", "filename=a/b"] {
            assert!(options(text).is_err(), "{text}");
        }
    }

    #[test]
    fn attestations_have_types() {
        let provenance = "type=provenance,mode=min".parse::<Attestation>().unwrap();
        assert_eq!(provenance.provenance().unwrap().0.as_ref().unwrap().mode, Mode::Min);
        assert_eq!("type=sbom,disabled=true".parse(), Ok(Attestation::Sbom(SbomArg)));
        for text in ["type=sbom", "type=sbom,generator=x", "type=other", "mode=max"] {
            assert!(text.parse::<Attestation>().is_err(), "{text}");
        }
    }
}
