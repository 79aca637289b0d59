//! A generic gRPC client: it asks the server what services and messages there are, and knows
//! nothing of Atoll's schema but what it is told.

use super::{messages, process::Node};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor,
    prost::{Message as _, bytes::Buf},
    prost_types::FileDescriptorProto,
};
use serde_json::Value as Json;
use tokio::runtime::{Builder, Runtime};
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt as _;

const SERVICE: &str = "atoll.v1.FeatureService";
const MESSAGE_BYTES: usize = 64 << 20;

/// A client of one node.
pub struct Client {
    runtime: Runtime,
    channel: Channel,
    pool: DescriptorPool,
    service: &'static str,
}

impl Client {
    /// Connects, and learns the schema of the features' service.
    pub fn of(node: &Node) -> Self {
        Self::at(node.grpc(), SERVICE)
    }

    /// The same of another service, at a port.
    pub fn at(port: u16, service: &'static str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let (channel, pool) = runtime.block_on(async {
            let channel = endpoint.connect().await.unwrap();
            let pool = learn(&channel, service).await;
            (channel, pool)
        });
        Self {
            runtime,
            channel,
            pool,
            service,
        }
    }

    /// Calls a method with a message of the named fields.
    pub fn call(&self, method: &str, request: &Json) -> Result<DynamicMessage, Status> {
        let service = self.pool.get_service_by_name(self.service).unwrap();
        let method = service
            .methods()
            .find(|known| known.name() == method)
            .unwrap();
        let path: PathAndQuery = format!("/{}/{}", self.service, method.name())
            .parse()
            .unwrap();
        let request = messages::message(method.input(), request);
        let mut client = Grpc::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        self.runtime.block_on(async {
            client.ready().await.unwrap();
            let answer = client
                .unary(
                    tonic::Request::new(request),
                    path,
                    Messages(method.output()),
                )
                .await;
            answer.map(tonic::Response::into_inner)
        })
    }

    /// Calls what must be done; the answer as JSON.
    #[track_caller]
    pub fn called(&self, method: &str, request: &Json) -> Json {
        messages::json_of(&self.call(method, request).unwrap())
    }

    /// Calls what must be refused, and checks code, reason and message.
    #[track_caller]
    pub fn refused(
        &self,
        method: &str,
        request: &Json,
        code: tonic::Code,
        reason: &str,
        words: &[&str],
    ) {
        let status = self.call(method, request).expect_err("a refusal");
        let info = status
            .get_details_error_info()
            .unwrap_or_else(|| panic!("no reason in {status:?}"));
        assert_eq!(
            (status.code(), info.reason.as_str(), info.domain.as_str()),
            (code, reason, "atoll"),
            "{status:?}"
        );
        let message = status.message();
        assert!(
            words.iter().all(|word| message.contains(word)),
            "not all of {words:?} in {message:?}"
        );
    }
}

/// The descriptors of the service, file by file, each with what it imports.
async fn learn(channel: &Channel, name: &str) -> DescriptorPool {
    let services = ask(channel, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(services) = services else {
        panic!("{services:?}")
    };
    assert!(
        services.service.iter().any(|service| service.name == name),
        "{services:?}"
    );
    let mut files: Vec<FileDescriptorProto> = Vec::new();
    let mut wanted = vec![MessageRequest::FileContainingSymbol(name.to_owned())];
    while let Some(request) = wanted.pop() {
        let answer = ask(channel, request).await;
        let MessageResponse::FileDescriptorResponse(found) = answer else {
            panic!("{answer:?}")
        };
        for bytes in found.file_descriptor_proto {
            let file = FileDescriptorProto::decode(bytes.as_slice()).unwrap();
            if !files.iter().any(|known| known.name == file.name) {
                wanted.extend(
                    file.dependency
                        .iter()
                        .cloned()
                        .map(MessageRequest::FileByFilename),
                );
                files.push(file);
            }
        }
    }
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(files).unwrap();
    pool
}

async fn ask(channel: &Channel, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap()
}

/// Messages by their descriptors; the field is what is read.
struct Messages(MessageDescriptor);

impl Codec for Messages {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Messages {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(
        &mut self,
        message: DynamicMessage,
        target: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        message
            .encode(target)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Messages {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = source.copy_to_bytes(source.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
