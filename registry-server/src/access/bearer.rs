//! Tokens that somebody else signs (RFC 7519), in the form that Docker's registry introduced:
//! `access` lists what the bearer may do. The signer's keys are a JWK set (RFC 7517).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{Actions, Identity, Rule, Who};
use crate::pattern::Pattern;
use crate::{Error, Result};

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 60;

/// One whose tokens are believed.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Where clients get tokens: the `realm` of the challenge.
    pub realm: String,
    /// Whom the tokens are for: the `service` of the challenge and the `aud` of a token.
    pub service: String,
    /// The `iss` of a token.
    pub name: String,
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: String,
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: u64,
    #[serde(default)]
    access: Vec<Grant>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Grant {
    r#type: String,
    name: String,
    actions: Vec<String>,
}

impl Issuer {
    /// An issuer with a JWK set: RSA, P-256, P-384 and Ed25519 keys. Others are left out.
    ///
    /// # Errors
    /// If it is no key set, or none of its keys can be used.
    pub fn new(realm: String, service: String, name: String, jwks: &[u8]) -> Result<Issuer> {
        let set: KeySet = serde_json::from_slice(jwks)
            .map_err(|source| Error::InvalidKeys { source: Some(Arc::new(source)) })?;
        let keys: Vec<Key> = set.keys.into_iter().filter_map(Key::of).collect();
        if keys.is_empty() {
            return Err(Error::InvalidKeys { source: None });
        }
        Ok(Issuer { realm, service, name, keys })
    }

    /// Whom a token stands for, if it is good now.
    pub(super) fn verify(&self, token: &str) -> Option<Identity> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let header: Header = parsed(header)?;
        // The header chooses among our keys; what a key is for, the key itself says.
        let fits = |key: &&Key| header.kid.is_none() || key.id.is_none() || key.id == header.kid;
        let good = |key: &Key| key.verify(&header.alg, signed.as_bytes(), &signature);
        if !self.keys.iter().filter(fits).any(good) {
            return None;
        }
        let claims: Claims = parsed(claims)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let for_us = match &claims.aud {
            Audience::One(one) => *one == self.service,
            Audience::Many(many) => many.contains(&self.service),
        };
        let valid = claims.exp.saturating_add(LEEWAY) > now && claims.nbf <= now + LEEWAY;
        if claims.iss != self.name || !for_us || !valid {
            return None;
        }
        let grants = claims.access.into_iter().filter(|grant| grant.r#type == "repository");
        let grants = grants.map(Grant::into_rule).collect();
        Some(Identity::Granted { subject: claims.sub, grants: Arc::new(grants) })
    }
}

impl Grant {
    fn into_rule(self) -> Rule {
        let actions = self.actions.iter().filter_map(|name| Actions::named(name));
        let actions = actions.fold(Actions::NONE, |sum, action| sum | action);
        // A name in a token is a name, whatever characters it has.
        Rule { who: Who::Anyone, repositories: Pattern::exactly(&self.name), actions }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

impl Key {
    fn of(jwk: Jwk) -> Option<Key> {
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let kind = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Kind::Rsa { n: bytes(jwk.n)?, e: bytes(jwk.e)? },
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let point = [vec![4], bytes(jwk.x)?, bytes(jwk.y)?].concat();
                if curve == "P-256" { Kind::P256(point) } else { Kind::P384(point) }
            }
            ("OKP", Some("Ed25519")) => Kind::Ed25519(bytes(jwk.x)?),
            _ => return None,
        };
        Some(Key { id: jwk.kid, kind })
    }

    fn verify(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
        let verified = match (&self.kind, algorithm) {
            (Kind::Rsa { n, e }, "RS256" | "RS384" | "RS512") => {
                let parameters = match algorithm {
                    "RS256" => &RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &RSA_PKCS1_2048_8192_SHA384,
                    _ => &RSA_PKCS1_2048_8192_SHA512,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature)
            }
            (Kind::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            (Kind::P384(point), "ES384") => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signed, signature)
            }
            (Kind::Ed25519(point), "EdDSA") => {
                UnparsedPublicKey::new(&ED25519, point).verify(signed, signature)
            }
            _ => return false,
        };
        verified.is_ok()
    }
}
