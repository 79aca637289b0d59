//! `GET /v1/status`, `/v1/shards`, `/v1/topology` and `/v1/lag`.

use super::error::HttpFailure;
use crate::{
    Gateway,
    cluster::{
        forms::{Shards, Status, Topology},
        lag::Lag,
    },
};
use axum::{Json, extract::State};
use std::sync::Arc;
use wire::v1;

type Shared = State<Arc<Gateway>>;
type Answer<T> = Result<Json<T>, HttpFailure>;

async fn known(gateway: &Gateway) -> Result<v1::StatusResponse, HttpFailure> {
    Ok(gateway.cluster().status(v1::StatusRequest {}).await?)
}

pub async fn status(State(gateway): Shared) -> Answer<Status> {
    Ok(Json(Status::of(&known(&gateway).await?)))
}

pub async fn shards(State(gateway): Shared) -> Answer<Shards> {
    let every = v1::ShardsRequest { shards: Vec::new() };
    Ok(Json(Shards::of(&gateway.cluster().shards(every).await?)))
}

pub async fn topology(State(gateway): Shared) -> Answer<Topology> {
    Ok(Json(Topology::of(&gateway.cluster().regions()?)))
}

pub async fn lag(State(gateway): Shared) -> Answer<Lag> {
    let lag = gateway.cluster().lag(v1::LagRequest {}).await?;
    Ok(Json(Lag::of(&lag)))
}
