//! What each method of gRPC asks of its callers. A method that stands here nowhere is refused, and a
//! program whose schema has one more cannot be built, so none can be forgotten.

use super::caller::{Caller, Right};
use crate::{admission::Load, failure::Failure};
use std::fmt;

/// What a call asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: it tells no more than that the process lives and how it is spoken to.
    Open,
    /// A token, whatever it gives.
    Token,
    /// The right in the project that the request names: asked for again where the request is read.
    InProject(Right),
    /// The right in the whole cluster.
    Everywhere(Right),
}

/// Whether a call is written down where administrators find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is one of many.
    Unkept,
    /// It changes the cluster.
    InTrail,
}

/// One thing that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The method of HTTP; that of gRPC is always `POST`.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What it asks for.
    pub requirement: Requirement,
    /// Whether it is kept.
    pub kept: Kept,
    /// What it asks of the process.
    pub load: Load,
}

impl Endpoint {
    /// The same, with such a load.
    #[must_use]
    pub const fn loading(self, load: Load) -> Self {
        Self { load, ..self }
    }
}

impl Requirement {
    /// Fails where the caller has not what is asked for, as far as that can be told without the request.
    pub fn check(self, caller: &Caller) -> Result<(), Failure> {
        match self {
            Self::Open | Self::Token => Ok(()),
            Self::InProject(right) => caller.may_somewhere(right),
            Self::Everywhere(right) => caller.may_everywhere(right),
        }
    }
}

/// What it asks for, as callers read it.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("Needs no token."),
            Self::Token => f.write_str("Needs a token, whatever it gives."),
            Self::InProject(right) => write!(f, "Needs {} in the project.", right.roles()),
            Self::Everywhere(right) => write!(f, "Needs {} in the whole cluster.", right.roles()),
        }
    }
}

const fn grpc(path: &'static str, requirement: Requirement) -> Endpoint {
    Endpoint {
        method: "POST",
        path,
        requirement,
        kept: Kept::Unkept,
        load: Load::Free,
    }
}

const fn kept(path: &'static str, requirement: Requirement) -> Endpoint {
    Endpoint {
        kept: Kept::InTrail,
        ..grpc(path, requirement)
    }
}

use Requirement::{Everywhere, InProject, Open, Token};
use Right::{Administer, Define, Read, See, Write};

const ENDPOINTS: &[Endpoint] = &[
    grpc("/atoll.v1.FeatureService/Lookup", InProject(Read)).loading(Load::Lookup),
    grpc("/atoll.v1.FeatureService/Write", InProject(Write)).loading(Load::Write),
    grpc("/atoll.v1.FeatureService/WriteStream", InProject(Write)).loading(Load::Writes),
    grpc("/atoll.v1.FeatureService/Delete", InProject(Write)).loading(Load::Write),
    grpc("/atoll.v1.FeatureService/Scan", InProject(Read)),
    grpc("/atoll.v1.RegistryService/Plan", InProject(See)),
    kept("/atoll.v1.RegistryService/Apply", InProject(Define)),
    grpc("/atoll.v1.RegistryService/Get", InProject(See)),
    // All projects: those that the caller sees.
    grpc("/atoll.v1.RegistryService/List", InProject(See)),
    grpc("/atoll.v1.RegistryService/Watch", Token),
    grpc("/atoll.v1.RegistryService/History", Everywhere(See)),
    kept("/atoll.v1.RegistryService/Rollback", Everywhere(Define)),
    grpc("/atoll.v1.RegistryService/PlanRollback", Everywhere(See)),
    grpc("/atoll.v1.AdminService/Status", Everywhere(See)),
    grpc("/atoll.v1.AdminService/Shards", Everywhere(See)),
    grpc("/atoll.v1.AdminService/ListRegions", Everywhere(See)),
    grpc("/atoll.v1.AdminService/Lag", Everywhere(See)),
    grpc("/atoll.v1.AdminService/Audit", Everywhere(Administer)),
    kept("/atoll.v1.AdminService/Recover", Everywhere(Administer)),
    kept("/atoll.v1.AdminService/DrainNode", Everywhere(Administer)),
    kept("/atoll.v1.AdminService/RemoveNode", Everywhere(Administer)),
    // Of an administrator of a project: in that one only.
    kept("/atoll.v1.AdminService/CreateToken", InProject(Administer)),
    kept("/atoll.v1.AdminService/RevokeToken", InProject(Administer)),
    grpc("/atoll.v1.AdminService/ListTokens", InProject(Administer)),
    kept("/atoll.v1.AdminService/SetQuota", Everywhere(Administer)),
    grpc("/atoll.v1.AdminService/ListQuotas", Everywhere(See)),
    grpc("/atoll.v1.AdminService/AuditLog", Everywhere(Administer)),
    grpc("/atoll.v1.AdminService/Diagnose", Everywhere(Administer)),
    grpc("/grpc.health.v1.Health/Check", Open),
    grpc("/grpc.health.v1.Health/Watch", Open),
    grpc(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Open,
    ),
    grpc(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Open,
    ),
];

/// All methods of gRPC that a node answers.
#[must_use]
pub const fn grpc_endpoints() -> &'static [Endpoint] {
    ENDPOINTS
}

/// What a path of gRPC asks for; none where nothing answers there.
pub(crate) fn of_path(path: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.path == path)
}

// A program with a method that asks for nothing that anybody chose cannot be built.
const _: () = assert!(
    is_complete(),
    "a method of the schema stands nowhere in ENDPOINTS: say who may call it"
);

const fn is_complete() -> bool {
    let mut method = 0;
    while method < wire::METHODS.len() {
        let mut place = 0;
        while place < ENDPOINTS.len() && !same(ENDPOINTS[place].path, wire::METHODS[method]) {
            place += 1;
        }
        if place == ENDPOINTS.len() {
            return false;
        }
        method += 1;
    }
    true
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_schema_says_what_it_asks_for_and_stands_once() {
        let methods = wire::METHODS;
        assert!(methods.len() >= 17, "{methods:?}");
        for endpoint in ENDPOINTS {
            let same = ENDPOINTS.iter().filter(|other| other.path == endpoint.path);
            assert_eq!(same.count(), 1, "{}", endpoint.path);
            let ours = endpoint.path.starts_with("/atoll.");
            let is_known = methods.contains(&endpoint.path);
            assert_eq!(is_known, ours, "{}", endpoint.path);
        }
    }

    #[test]
    fn a_path_that_nobody_named_is_none() {
        assert_eq!(of_path("/atoll.v1.FeatureService/Lookup/"), None);
        assert_eq!(of_path("/atoll.v1.FeatureService/lookup"), None);
    }
}
