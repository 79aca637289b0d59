//! What is looked up: the shop's customers and articles of `examples/`, and requests for them.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use node::{
    client::{call::CHANGE_DEADLINE, gateways::Gateways},
    demo::{
        data,
        definitions::{self, ARTICLE_SERVICE, PROJECT},
        history,
        lookups::{CANDIDATES, Draw},
        table::ShopTables,
    },
};
use prost::Message as _;
use std::{net::SocketAddr, time::SystemTime};
use wire::v1::{self, lookup_request::Select};

/// Different requests, sent in turn.
const REQUESTS: usize = 512;
/// Numbers of an article.
const ARTICLE_FEATURES: usize = 58;

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Keys end to end, the answer without names.
    Sdk,
    /// A string a key, the answer with names: what any client sends.
    Plain,
}

/// The keys that are there.
pub struct Dataset {
    customers: Vec<i64>,
    urls: Vec<String>,
}

impl Dataset {
    /// Applies the definitions and loads all rows.
    pub async fn load(address: SocketAddr) -> anyhow::Result<Self> {
        let gateways = Gateways::new(&[address.to_string().parse()?], None)?;
        let files = definitions::files();
        let request = v1::ApplyRequest {
            files,
            prune: false,
            expect_revision: None,
            break_readers: false,
        };
        gateways
            .apply(request, CHANGE_DEADLINE)
            .await
            .context("apply the definitions")?;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)?
            .as_micros();
        let beginning = history::compute(data::lines()?, i64::try_from(now)?);
        let loaded = history::load(&gateways, &beginning.shop, &ShopTables::new()?).await?;
        let customers = beginning.shop.customers().keys().copied().collect();
        Ok(Self {
            customers,
            urls: loaded.urls,
        })
    }

    /// Requests for a customer and 50 articles, encoded.
    pub fn requests(&self, form: Form) -> Vec<Bytes> {
        self.requests_of(form, CANDIDATES)
    }

    /// Requests for a customer and so many articles, encoded.
    pub fn requests_of(&self, form: Form, candidates: usize) -> Vec<Bytes> {
        let mut draw = Draw::new(11);
        (0..REQUESTS)
            .map(|_| Bytes::from(self.request(form, candidates, &mut draw).encode_to_vec()))
            .collect()
    }

    fn request(&self, form: Form, candidates: usize, draw: &mut Draw) -> v1::LookupRequest {
        let customer = self.customers[below(draw, self.customers.len())];
        let shared = v1::KeyColumn {
            name: "customer_id".to_owned(),
            ints: vec![customer],
            ..Default::default()
        };
        let urls: Vec<&str> = (0..candidates)
            .map(|_| &*self.urls[below(draw, self.urls.len())])
            .collect();
        v1::LookupRequest {
            project: PROJECT.to_owned(),
            select: Some(Select::Service(ARTICLE_SERVICE.to_owned())),
            shared: vec![shared],
            rows: vec![url_column(form, &urls)],
            omit_names: form == Form::Sdk,
            ..Default::default()
        }
    }
}

fn url_column(form: Form, urls: &[&str]) -> v1::KeyColumn {
    let name = "url".to_owned();
    match form {
        Form::Plain => {
            let strings = urls.iter().map(|url| (*url).to_owned()).collect();
            v1::KeyColumn {
                name,
                strings,
                ..Default::default()
            }
        }
        Form::Sdk => {
            let mut end = 0;
            let ends = urls.iter().map(|url| {
                end += u32::try_from(url.len()).expect("urls are short");
                end
            });
            let ends = ends.collect();
            v1::KeyColumn {
                name,
                ends,
                joined: urls.concat().into(),
                ..Default::default()
            }
        }
    }
}

fn below(draw: &mut Draw, length: usize) -> usize {
    usize::try_from(draw.below(length as u64)).expect("an index of a slice")
}

/// Whether an answer holds all values of 50 articles: a fast server that answers nothing is none.
pub fn check(answer: &Bytes) -> anyhow::Result<()> {
    let answer = v1::LookupResponse::decode(answer.clone())?;
    let articles = answer.columns.iter().filter(|column| !column.shared);
    let values: usize = articles
        .clone()
        .map(|column| column.f64.len() + column.i64.len())
        .sum();
    ensure!(
        articles.clone().count() == ARTICLE_FEATURES
            && values == ARTICLE_FEATURES * CANDIDATES
            && articles.clone().all(|column| column.statuses == 0),
        "a lookup came back with {} columns and {values} values",
        answer.columns.len()
    );
    Ok(())
}
