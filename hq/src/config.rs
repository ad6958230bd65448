//! What `serve` is told: options, or the same words in `hq.toml`. Options win.

use crate::store::Store;
use crate::tls::{ClientTls, ServerTls};
use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Every word of `hq.toml` is an option of `serve`, with `_` for `-`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Directory of the database and the signing key; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// PostgreSQL instead of `hq.db`: postgres://USER:PASSWORD@HOST/DATABASE. Kept in --data, where every command finds it
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// PEM file of the CA that signs the certificate of --database; needed where that is on another machine
    #[arg(long, value_name = "FILE", requires = "database")]
    pub database_ca: Option<PathBuf>,
    /// Where the console listens; port 0 takes a free one [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// `embedded`, or a broker to connect to: mqtt://host:port, mqtts://host:port [default: embedded]
    #[arg(long, value_name = "BROKER")]
    pub broker: Option<String>,
    /// Where the embedded broker listens; port 0 takes a free one [default: 127.0.0.1:1883]
    #[arg(long, value_name = "ADDRESS")]
    pub broker_listen: Option<SocketAddr>,
    /// Whose stores these are: the second level of every topic [default: demo]
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// PEM file of the CA that signs the broker's and the boxes' certificates; with it the embedded broker speaks TLS only
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of HQ's certificate (the embedded broker's too)
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub cert: Option<PathBuf>,
    /// PEM file of the private key to --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Host name in the embedded broker's certificate, for HQ's own connection to it [default: localhost]
    #[arg(long, value_name = "NAME")]
    pub broker_name: Option<String>,
    /// Program that tells members what moved in their wallets: one line of JSON on its standard input, told when it ends
    /// well [default: written to notices.ndjson in --data, for trials]
    #[arg(long, value_name = "FILE")]
    pub notices: Option<PathBuf>,
}

/// Options with every gap filled.
#[derive(Clone, Debug)]
pub struct Config {
    pub data: PathBuf,
    /// Address of PostgreSQL and the file of its CA, instead of what is in `data`.
    pub database: Option<(String, Option<PathBuf>)>,
    pub http: SocketAddr,
    pub broker: BrokerChoice,
    pub tenant: String,
    pub notices: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub enum BrokerChoice {
    Embedded {
        listen: SocketAddr,
        /// The broker's certificates, HQ's own, and the name it connects to.
        tls: Option<(ServerTls, ClientTls, String)>,
    },
    Remote {
        host: String,
        port: u16,
        tls: Option<ClientTls>,
    },
}

impl Config {
    /// # Errors
    /// When the database cannot be opened.
    pub fn store(&self) -> anyhow::Result<Store> {
        match &self.database {
            Some((url, ca)) => Store::open_at(&self.data, url, ca.as_deref()),
            None => Store::open(&self.data),
        }
    }
}

impl Options {
    /// Fills what `self` leaves open from the file.
    ///
    /// # Errors
    /// When the file cannot be read or has an unknown word; says the line.
    pub fn with_file(self, path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: Self = toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))?;
        Ok(Self {
            data: self.data.or(file.data),
            database: self.database.or(file.database),
            database_ca: self.database_ca.or(file.database_ca),
            http: self.http.or(file.http),
            broker: self.broker.or(file.broker),
            broker_listen: self.broker_listen.or(file.broker_listen),
            tenant: self.tenant.or(file.tenant),
            ca: self.ca.or(file.ca),
            cert: self.cert.or(file.cert),
            key: self.key.or(file.key),
            broker_name: self.broker_name.or(file.broker_name),
            notices: self.notices.or(file.notices),
        })
    }

    /// # Errors
    /// When something necessary is missing or impossible; says which.
    pub fn resolve(self) -> anyhow::Result<Config> {
        let data = self.data.clone().context("where? Say --data DIR")?;
        let tenant = self.tenant.clone().unwrap_or_else(|| "demo".into());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        anyhow::ensure!(!tenant.is_empty() && tenant.bytes().all(plain), "--tenant is letters, digits, '-' and '_'");
        let broker = match self.broker.as_deref() {
            None | Some("embedded") => self.embedded()?,
            Some(url) => self.remote(url)?,
        };
        let http = self.http.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8081)));
        let database = self.database.map(|url| (url, self.database_ca));
        Ok(Config { data, database, http, broker, tenant, notices: self.notices })
    }

    fn embedded(&self) -> anyhow::Result<BrokerChoice> {
        let listen = self.broker_listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1883)));
        let tls = match (&self.ca, &self.cert, &self.key) {
            (None, None, None) => None,
            (Some(ca), Some(cert), Some(key)) => {
                let server = ServerTls { ca: ca.clone(), cert: cert.clone(), key: key.clone() };
                let name = self.broker_name.clone().unwrap_or_else(|| "localhost".into());
                Some((server, self.client(ca), name))
            }
            _ => bail!("the embedded broker speaks TLS with all three of --ca, --cert and --key"),
        };
        Ok(BrokerChoice::Embedded { listen, tls })
    }

    fn remote(&self, url: &str) -> anyhow::Result<BrokerChoice> {
        let unusable = || format!("--broker {url} is neither embedded nor mqtt://host:port nor mqtts://host:port");
        let (scheme, rest) = url.split_once("://").with_context(unusable)?;
        let (default_port, tls) = match (scheme, &self.ca) {
            ("mqtt", _) => (1883, None),
            ("mqtts", Some(ca)) => (8883, Some(self.client(ca))),
            ("mqtts", None) => bail!("mqtts:// wants --ca, the PEM file of the CA that signs the broker's certificate"),
            _ => bail!(unusable()),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().with_context(unusable)?),
            None => (rest, default_port),
        };
        anyhow::ensure!(!host.is_empty(), unusable());
        Ok(BrokerChoice::Remote { host: host.into(), port, tls })
    }

    fn client(&self, ca: &Path) -> ClientTls {
        ClientTls { ca: ca.to_owned(), identity: self.cert.clone().zip(self.key.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(broker: &str) -> Options {
        Options { data: Some("d".into()), broker: Some(broker.into()), ..Options::default() }
    }

    #[test]
    fn a_broker_is_embedded_or_an_address_and_anything_else_is_named() {
        let remote = options("mqtt://broker:1999").resolve().unwrap();
        assert!(matches!(remote.broker, BrokerChoice::Remote { port: 1999, tls: None, .. }));
        assert!(matches!(options("embedded").resolve().unwrap().broker, BrokerChoice::Embedded { tls: None, .. }));
        for wrong in ["mqtts://broker", "http://x", "broker:1883", "mqtt://:1883", "mqtt://b:x"] {
            assert!(options(wrong).resolve().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_word_in_the_file_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hq.toml");
        std::fs::write(&path, "tenant = \"acme\"\nbrokr = \"x\"\n").unwrap();
        let error = format!("{:#}", Options::default().with_file(&path).unwrap_err());
        assert!(error.contains("line 2") && error.contains("brokr"), "{error}");
    }
}
