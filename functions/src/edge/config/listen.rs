//! Where a service listens: on the machine itself unless it is told otherwise.

use super::env::{ConfigError, ConfigResult, Environment, is_loopback};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address and port of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// `BIND_ADDRESS`: 127.0.0.1 unless set, which other machines do not reach; on Cloud Run 0.0.0.0, every interface,
    /// as it wants.
    pub address: IpAddr,
    /// `PORT`, 8080 unless set; 0 lets the system choose.
    pub port: u16,
}

impl ListenAddress {
    /// Reads `BIND_ADDRESS` and `PORT`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let port = env.number("PORT", 8080, 0, u64::from(u16::MAX), "")?;
        let usual = if env.on_cloud_run() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        let address = match env.get("BIND_ADDRESS") {
            None => usual.into(),
            Some(text) => text.parse().map_err(|_| {
                let problem = format!(
                    "must be the address to listen on, such as 127.0.0.1, or 0.0.0.0 for every interface, \
                     and is {text:?}"
                );
                ConfigError { variable: "BIND_ADDRESS", problem }
            })?,
        };
        Ok(Self { address, port: u16::try_from(port).unwrap_or(8080) })
    }

    /// What to bind.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// Refuses an issuer that is called by an address of this machine, such as the demo issuer of `license-local`, where
/// other machines reach the service: it vouches for whoever asks.
pub(super) fn no_demo_issuer(env: &Environment, variable: &'static str, issuer: &str) -> ConfigResult<()> {
    let here = issuer.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback));
    let reached = !ListenAddress::from_env(env)?.address.is_loopback() || proxies(env)? > 0;
    if !(here && reached) {
        return Ok(());
    }
    let problem = format!(
        "is an issuer of this machine alone ({issuer}), and BIND_ADDRESS or TRUSTED_PROXIES let other machines reach \
         this service; name a real one"
    );
    Err(ConfigError { variable, problem })
}

/// Reads `TRUSTED_PROXIES`: how many proxies of ours stand in front, each of which adds to `X-Forwarded-For` (or
/// `Forwarded`) whom it heard from.
///
/// 0 unless set; on Cloud Run it must be set, because Cloud Run itself is one.
pub fn proxies(env: &Environment) -> ConfigResult<u8> {
    env.said("TRUSTED_PROXIES", "1 where requests come to the address at run.app, 2 behind a load balancer")?;
    Ok(u8::try_from(env.number("TRUSTED_PROXIES", 0, 0, 10, " of proxies")?).unwrap_or(0))
}
