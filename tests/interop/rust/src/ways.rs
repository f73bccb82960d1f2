//! Each way in is gone with a few records there and back, each that must be refused is tried and lets none through.
use std::env::var;
use std::error::Error;
use std::time::Instant;

use rdkafka::client::OAuthToken;
use rdkafka::consumer::ConsumerContext;
use rdkafka::message::Message;
use rdkafka::ClientContext;

use crate::transactions::batch;
use crate::{check, later, require, text, Client, Outcome, POLL, WAIT};

/// Settings of how a client comes in.
pub type Way = Vec<(&'static str, String)>;
pub type Token = Result<OAuthToken, Box<dyn Error>>;

/// Gives the token that the environment has.
pub fn token() -> Token {
    let lifetime_ms = var("INTEROP_TOKEN_ENDS_MS")?.parse()?;
    Ok(OAuthToken { token: var("INTEROP_TOKEN")?, principal_name: var("INTEROP_USER")?, lifetime_ms })
}

pub struct Context;

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;
    fn generate_oauth_token(&self, _: Option<&str>) -> Token {
        token()
    }
}

impl ConsumerContext for Context {}

pub fn plain(address: String) -> Way {
    vec![("bootstrap.servers", address)]
}

fn env(key: &str) -> String {
    var(format!("INTEROP_{key}")).unwrap_or_default()
}

fn way(listener: &str, protocol: &str) -> Way {
    let mut settings = plain(env(listener));
    settings.push(("security.protocol", protocol.into()));
    if protocol.ends_with("ssl") {
        settings.push(("ssl.ca.location", env("CA")));
    }
    settings
}

fn login(mut settings: Way, mechanism: &str, password: &str) -> Way {
    settings.push(("sasl.mechanism", mechanism.into()));
    if mechanism != "OAUTHBEARER" {
        settings.push(("sasl.username", env("USER")));
        settings.push(("sasl.password", password.into()));
    }
    settings
}

fn comes_in(name: &str, what: &str, way: Way) -> Outcome {
    let client = Client { way, name: name.into() };
    let topic = format!("{name}.secure");
    let records = batch(&[what]);
    client.send_values(&topic, &records)?;
    let consumer = client.alone(&topic, "read_uncommitted")?;
    let deadline = Instant::now() + WAIT;
    loop {
        require(Instant::now() < deadline, || "the records did not come back".into())?;
        if let Some(message) = consumer.poll(POLL) {
            if message.map_err(text)?.payload() == records.last().map(|value| value.as_bytes()) {
                return Ok(());
            }
        }
    }
}

fn is_refused(name: &str, what: &str, mut way: Way) -> Outcome {
    way.push(("message.timeout.ms", "3000".into())); // who has not come in by then was refused
    let client = Client { way, name: name.into() };
    match client.send_values(&format!("{name}.secure"), &batch(&[what])) {
        Ok(()) => Err("records were taken".into()),
        Err(error) => {
            eprintln!("{what}: {error}");
            require(error.contains("Message production"), || error.clone()) // no other error
        }
    }
}

pub fn all(name: &str) {
    let password = env("PASSWORD");
    let sasl = |mechanism, password: &str| login(way("SASL", "sasl_plaintext"), mechanism, password);
    let over = |mechanism| login(way("SASL_TLS", "sasl_ssl"), mechanism, &password);
    let mut stranger = way("TLS", "ssl");
    stranger.push(("ssl.ca.location", env("OTHER_CA")));
    let mut mine = way("MTLS", "ssl");
    mine.push(("ssl.certificate.location", env("CERTIFICATE")));
    mine.push(("ssl.key.location", env("KEY")));
    for (what, way, refused) in [
        ("SASL PLAIN", sasl("PLAIN", &password), false),
        ("SASL PLAIN, a wrong password is refused", sasl("PLAIN", "wrong"), true),
        ("SASL SCRAM-SHA-256", sasl("SCRAM-SHA-256", &password), false),
        ("SASL SCRAM-SHA-256, a wrong password is refused", sasl("SCRAM-SHA-256", "wrong"), true),
        ("SASL SCRAM-SHA-512", sasl("SCRAM-SHA-512", &password), false),
        ("SASL OAUTHBEARER", sasl("OAUTHBEARER", ""), false),
        ("TLS", way("TLS", "ssl"), false),
        ("TLS, another authority is refused", stranger, true),
        ("mTLS", mine, false),
        ("mTLS, no certificate is refused", way("MTLS", "ssl"), true),
        ("SASL PLAIN over TLS", over("PLAIN"), false),
    ] {
        later(what, || if refused { is_refused(name, what, way) } else { comes_in(name, what, way) });
    }
    let last = "SASL SCRAM-SHA-512 over TLS";
    check(last, || comes_in(name, last, over("SCRAM-SHA-512")));
}
