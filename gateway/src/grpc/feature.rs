//! `FeatureService` over gRPC.

use super::status::{code, timeout, to_status};
use crate::{
    Gateway,
    access::Caller,
    admission::{AnswerBytes, Class, Permit},
    failure::Failure,
};
use futures::{StreamExt, stream::BoxStream};
use prost::Message as _;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming, async_trait};
use wire::twin::{
    DeleteRequest, LookupRequest, LookupResponse, ScanPage, ScanRequest, WriteAck, WriteError,
    WriteRequest, WriteResponse, feature_service_server::FeatureService, write_ack::Outcome,
};

/// The service.
pub struct Features {
    gateway: Arc<Gateway>,
}

impl Features {
    /// Answers from `gateway`.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

#[async_trait]
impl FeatureService for Features {
    async fn lookup(
        &self,
        request: Request<LookupRequest>,
    ) -> Result<Response<LookupResponse>, Status> {
        let timeout = timeout(request.metadata().as_ref());
        let caller = Caller::asking(&request);
        let answer = self
            .gateway
            .lookup(&caller, request.get_ref(), timeout)
            .await;
        let answer = answer.map_err(to_status)?;
        let size = AnswerBytes(answer.encoded_len());
        let mut response = Response::new(answer);
        response.extensions_mut().insert(size);
        Ok(response)
    }

    async fn write(
        &self,
        request: Request<WriteRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let timeout = timeout(request.metadata().as_ref());
        let caller = Caller::asking(&request);
        let answer = self
            .gateway
            .write(&caller, request.get_ref(), Vec::new(), timeout)
            .await;
        answer.map(Response::new).map_err(to_status)
    }

    type WriteStreamStream = BoxStream<'static, Result<WriteAck, Status>>;

    /// One batch after the other: rows of one key keep the order in which they were sent, also in
    /// views ordered by write time. Several streams write at once.
    async fn write_stream(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        let caller = Caller::asking(&request);
        let class = Class::of_writes(request.metadata().as_ref());
        let gateway = Arc::clone(&self.gateway);
        let acks = request.into_inner().then(move |batch| {
            let (gateway, caller) = (Arc::clone(&gateway), caller.clone());
            async move {
                let batch = batch?;
                // A stream outlives the moment at which its token was looked at.
                gateway.guard().still(&caller).map_err(to_status)?;
                Ok(match enter(&gateway, class).await {
                    Ok(_permit) => {
                        let answer = gateway.write(&caller, &batch, Vec::new(), None).await;
                        acknowledge(batch, answer)
                    }
                    Err(failure) => acknowledge(batch, Err(failure)),
                })
            }
        });
        Ok(Response::new(acks.boxed()))
    }

    type ScanStream = BoxStream<'static, Result<ScanPage, Status>>;

    async fn scan(
        &self,
        request: Request<ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        let caller = Caller::asking(&request);
        let pages = self.gateway.scan(&caller, request.get_ref()).await;
        let pages = pages.map_err(to_status)?;
        Ok(Response::new(
            pages.map(|page| page.map_err(to_status)).boxed(),
        ))
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let timeout = timeout(request.metadata().as_ref());
        let caller = Caller::asking(&request);
        let answer = self
            .gateway
            .delete(&caller, request.get_ref(), Vec::new(), timeout)
            .await;
        answer.map(Response::new).map_err(to_status)
    }
}

/// A batch of a stream comes in like a write by itself.
async fn enter(gateway: &Gateway, class: Class) -> Result<Permit, Failure> {
    let within = gateway.settings().default_deadline;
    let permit = gateway.gate().enter(class, within).await?;
    permit.begin()?;
    Ok(permit)
}

fn acknowledge(batch: WriteRequest, answer: Result<WriteResponse, Failure>) -> WriteAck {
    match answer {
        Ok(answer) => WriteAck {
            request_id: answer.request_id.clone(),
            outcome: Some(Outcome::Response(answer)),
        },
        Err(failure) => WriteAck {
            request_id: batch.request_id,
            outcome: Some(Outcome::Error(error(failure))),
        },
    }
}

fn error(failure: Failure) -> WriteError {
    let retry_after_us = failure
        .retry_after
        .map(|wait| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
    WriteError {
        code: code(failure.reason.code()) as i32,
        reason: failure.reason.as_str().to_owned(),
        field: failure
            .fields
            .into_iter()
            .next()
            .map(|refusal| refusal.field)
            .unwrap_or_default(),
        message: failure.message,
        retry_after_us,
    }
}
