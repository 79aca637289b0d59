//! Clients of a gateway that asks for certificates on top of tokens.

use super::{
    lab::{Differs, Lab},
    process::{Said, atoll, wait_for},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::PathBuf;

/// An authority of the operator's own.
struct Operator {
    name: &'static str,
    params: CertificateParams,
    key: KeyPair,
}

impl Operator {
    fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self {
            name,
            params,
            key: KeyPair::generate().unwrap(),
        }
    }

    fn certificate(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    /// Files of a client's certificate and key; the certificate ends with a year.
    fn client(&self, lab: &Lab, until: i32) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let issuer = Issuer::new(self.params.clone(), &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        let name = format!("{}-{until}", self.name);
        let certificate = lab.file(&format!("{name}.pem"), &certificate);
        (
            certificate,
            lab.file(&format!("{name}.key"), &key.serialize_pem()),
        )
    }
}

#[test]
fn a_gateway_asks_clients_for_certificates_where_it_is_told_to() {
    let mut lab = Lab::new();
    let (operator, stranger) = (Operator::new("operator"), Operator::new("stranger"));
    let authority = lab.file("clients.pem", &operator.certificate());
    let differs = Differs {
        tls: &format!("client_ca_file = {authority:?}"),
        votes: true,
        ..Differs::default()
    };
    let node = lab.serve("eu-0", &differs);
    let root = lab.found(node);
    let status = |token: &str, shown: Option<(PathBuf, PathBuf)>| {
        let mut command = atoll();
        command
            .args(["token", "list", "--token", token, "--gateway"])
            .arg(format!("https://127.0.0.1:{}", lab.port(node)))
            .arg("--ca-file")
            .arg(lab.secret(node, "authority.pem"));
        if let Some((certificate, key)) = shown {
            command.arg("--client-certificate-file").arg(certificate);
            command.arg("--client-key-file").arg(key);
        }
        Said::from(command.output().unwrap())
    };
    let good = operator.client(&lab, 2090);
    wait_for("a client with a certificate to be served", || {
        let said = status(&root, Some(good.clone()));
        (said.status == Some(0)).then_some(())
    });
    let none = status(&root, None);
    none.failed(1, &["no gateway answers", "CertificateRequired"]);
    let expired = status(&root, Some(operator.client(&lab, 2021)));
    expired.failed(1, &["no gateway answers", "CertificateExpired"]);
    let foreign = status(&root, Some(stranger.client(&lab, 2090)));
    foreign.failed(1, &["no gateway answers", "UnknownCA"]);
    // A certificate is no token.
    let tokenless = status(
        "atoll_0000000000000000_00",
        Some(operator.client(&lab, 2091)),
    );
    tokenless.failed(1, &["token"]);
}
