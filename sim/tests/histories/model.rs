//! A correct cluster in miniature: one log, replicas that lag behind it, clients that lose answers
//! and ask again. It makes histories; it is not the system under test.

use proto::{
    hlc::Hlc,
    id::{
        ClusterId, EntityId, FeatureId, Incarnation, PlacementId, RegionId, SchemaVersion,
        Sequence, ShardId, Stream, ViewId,
    },
    merge::merge,
    request::RequestId,
    row::{Cell, Content, Row},
    schema::RowSchema,
    time::EventTime,
    token::{Reached, Token},
    version::Version,
};
use sim::{
    history::{
        Acknowledged, Bytes, CallId, Change, Entry, Event, FORMAT, FinalRead, Header, History,
        LookupAnswer, LookupAnswered, LookupIssued, Micros, OriginAge, ReadCell, RowKey, Status,
        Values, ViewRule, Wanted, WriteAnswer, WriteAnswered, WriteIssued, WriteRow,
    },
    random::Random,
    workload::{Generator, Operation, Probe, Settings, TokenUse},
};
use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

pub const WALL: u64 = 1_790_000_000_000_000;
pub const CLOCK_ERROR: u64 = 20_000;
pub const PROBE: Probe = Probe {
    entity: EntityId(1),
    state: ViewId(1),
    notes: ViewId(2),
    ttl: Duration::from_secs(20),
};
const REGION: RegionId = RegionId(1);
const STREAM: Stream = Stream {
    origin: REGION,
    shard: ShardId(0),
    placement: PlacementId(0),
};
const CLUSTER: ClusterId = ClusterId(5);
static SCHEMAS: LazyLock<Vec<RowSchema>> = LazyLock::new(|| {
    let schema = |rule: ViewRule| RowSchema::new(rule.view, SchemaVersion(1), rule.columns);
    PROBE.rules().into_iter().map(schema).collect()
});
const STEPS: usize = 1_500;
const REPLICAS: usize = 3;
const CLIENTS: usize = 4;

/// One entry of the log.
#[derive(Clone)]
pub struct Logged {
    pub request: RequestId,
    pub rows: Vec<(WriteRow, Version)>,
    committed: u64,
}

/// What a run leaves behind.
#[derive(Clone)]
pub struct Run {
    pub header: Header,
    pub entries: Vec<Entry>,
    pub log: Vec<Logged>,
}

impl Run {
    pub fn history(&self) -> History {
        History::of(self.header.clone(), self.entries.clone())
            .expect("the model records its calls in order")
    }
}

enum Doing {
    Nothing,
    Writing {
        call: CallId,
        request: RequestId,
        rows: Vec<WriteRow>,
    },
    Reading {
        call: CallId,
        wanted: Vec<Wanted>,
        token: Option<u64>,
    },
}

struct Client {
    load: Generator,
    doing: Doing,
    /// The largest sequence this client has seen.
    seen: u64,
    /// A request whose answer was lost, to be sent again.
    lost: Option<(RequestId, Vec<WriteRow>)>,
}

pub struct Model {
    random: Random,
    now: u64,
    clock: Hlc,
    log: Vec<Logged>,
    table: BTreeMap<RequestId, u64>,
    /// How far each replica has applied.
    applied: [usize; REPLICAS],
    states: [BTreeMap<RowKey, Row>; REPLICAS],
    /// Requests on their way whose clients have given up.
    adrift: Vec<(RequestId, Vec<WriteRow>)>,
    clients: Vec<Client>,
    entries: Vec<Entry>,
    calls: u64,
    settings: Settings,
}

impl Model {
    pub fn run(seed: u64) -> Run {
        let settings = Settings {
            probes: 6,
            ..Settings::default()
        };
        let client = |number| Client {
            load: Generator::new(PROBE, settings, seed, number),
            doing: Doing::Nothing,
            seen: 0,
            lost: None,
        };
        let mut model = Self {
            random: Random::of_purpose(seed, "model"),
            now: 0,
            clock: Hlc::ZERO,
            log: Vec::new(),
            table: BTreeMap::new(),
            applied: [0; REPLICAS],
            states: Default::default(),
            adrift: Vec::new(),
            clients: (0..CLIENTS as u64).map(client).collect(),
            entries: Vec::new(),
            calls: 0,
            settings,
        };
        for _ in 0..STEPS {
            model.step();
        }
        model.end();
        Run {
            header: header(seed),
            entries: model.entries,
            log: model.log,
        }
    }

    fn step(&mut self) {
        self.now += self.random.within(0..20_000);
        match self.random.below(10) {
            0..2 => {
                let replica = self.random.below(REPLICAS as u64) as usize;
                let missing = (self.log.len() - self.applied[replica]) as u64;
                let more = self.random.below(missing + 1) as usize;
                self.apply(replica, more);
            }
            2 if !self.adrift.is_empty() => {
                let place = self.random.below(self.adrift.len() as u64) as usize;
                let (request, rows) = self.adrift.swap_remove(place);
                if self.random.percent(60) {
                    self.commit(request, &rows);
                }
            }
            _ => {
                let client = self.random.below(CLIENTS as u64) as usize;
                self.advance(client);
            }
        }
    }

    fn advance(&mut self, client: usize) {
        match std::mem::replace(&mut self.clients[client].doing, Doing::Nothing) {
            Doing::Nothing => self.begin(client),
            Doing::Writing {
                call,
                request,
                rows,
            } => self.finish_write(client, call, request, rows),
            Doing::Reading {
                call,
                wanted,
                token,
            } => {
                let replica = self.random.below(REPLICAS as u64) as usize;
                let answer = self.read(replica, &wanted, token);
                self.clients[client].doing = match answer {
                    Some(values) => {
                        self.answer_lookup(client, call, LookupAnswer::Values(values));
                        Doing::Nothing
                    }
                    None if self.random.percent(30) => {
                        self.answer_lookup(client, call, LookupAnswer::Stale);
                        Doing::Nothing
                    }
                    None => Doing::Reading {
                        call,
                        wanted,
                        token,
                    },
                };
            }
        }
    }

    fn begin(&mut self, client: usize) {
        self.calls += 1;
        let call = CallId(self.calls);
        let now = EventTime::saturating(WALL + self.now);
        if let Some((request, rows)) = self.clients[client].lost.take() {
            return self.issue_write(client, call, request, rows);
        }
        match self.clients[client].load.next(now) {
            Operation::Write { id, rows } => {
                let request = RequestId::make(now.micros() / 1_000, id);
                self.issue_write(client, call, request, rows);
            }
            Operation::Lookup { wanted, token } => {
                let token = (token == TokenUse::Own).then_some(self.clients[client].seen);
                let carried = token.filter(|seen| *seen > 0).map(encoded);
                let issued = LookupIssued {
                    call,
                    wanted: wanted.clone(),
                    token: carried,
                };
                self.record(Event::LookupIssued(issued));
                self.clients[client].doing = Doing::Reading {
                    call,
                    wanted,
                    token,
                };
            }
        }
    }

    fn issue_write(
        &mut self,
        client: usize,
        call: CallId,
        request: RequestId,
        rows: Vec<WriteRow>,
    ) {
        let issued = WriteIssued {
            call,
            request,
            rows: rows.clone(),
            token: None,
        };
        self.record(Event::WriteIssued(issued));
        self.clients[client].doing = Doing::Writing {
            call,
            request,
            rows,
        };
    }

    fn finish_write(
        &mut self,
        client: usize,
        call: CallId,
        request: RequestId,
        rows: Vec<WriteRow>,
    ) {
        let answer = match self.random.below(20) {
            // Lost on the way there, on the way back, or still on its way.
            0 => WriteAnswer::Unknown("lost before".to_owned()),
            1 => {
                self.commit(request, &rows);
                WriteAnswer::Unknown("lost after".to_owned())
            }
            2 => {
                self.adrift.push((request, rows.clone()));
                WriteAnswer::Unknown("adrift".to_owned())
            }
            _ => {
                let sequence = self.commit(request, &rows);
                self.now += self.random.below(2_000);
                self.clients[client].seen = self.clients[client].seen.max(sequence);
                let token = Some(encoded(sequence));
                WriteAnswer::Acknowledged(Acknowledged {
                    token,
                    ..Acknowledged::default()
                })
            }
        };
        let again = match answer {
            WriteAnswer::Acknowledged(_) => self.random.percent(5),
            _ => self.random.percent(60),
        };
        if again {
            self.clients[client].lost = Some((request, rows));
        }
        self.record(Event::WriteAnswered(WriteAnswered { call, answer }));
    }

    /// Appends the request once, however often it comes.
    fn commit(&mut self, request: RequestId, rows: &[WriteRow]) -> u64 {
        if let Some(sequence) = self.table.get(&request) {
            return *sequence;
        }
        let stamped = rows.iter().map(|row| {
            self.clock = Hlc(self.clock.0 + 1).max(Hlc::from_millis((WALL + self.now) / 1_000));
            let (event_time, write_time) = (row.event_time, self.clock);
            (
                row.clone(),
                Version {
                    event_time,
                    write_time,
                    origin: REGION,
                },
            )
        });
        let rows = stamped.collect();
        self.log.push(Logged {
            request,
            rows,
            committed: self.now,
        });
        self.table.insert(request, self.log.len() as u64);
        self.log.len() as u64
    }

    fn apply(&mut self, replica: usize, more: usize) {
        let from = self.applied[replica];
        for entry in &self.log[from..from + more] {
            apply(entry, &mut self.states[replica]);
        }
        self.applied[replica] = from + more;
    }

    /// What a replica answers, or nothing if it is behind the token.
    fn read(&mut self, replica: usize, wanted: &[Wanted], token: Option<u64>) -> Option<Values> {
        let applied = self.applied[replica];
        let behind = token.is_some_and(|token| (applied as u64) < token);
        let serve_stale = behind && self.random.percent(20);
        if behind && !serve_stale {
            return None;
        }
        let skew = self.random.below(2 * CLOCK_ERROR);
        let now = WALL + self.now + skew - CLOCK_ERROR;
        let state = &self.states[replica];
        let rows = wanted
            .iter()
            .map(|wanted| cells(state.get(&wanted.row), wanted, now))
            .collect();
        // Everything acknowledged before the first missing entry was committed is here.
        let age = self
            .log
            .get(applied)
            .map_or(0, |missing| self.now - missing.committed);
        let micros = (!self.random.percent(20)).then_some(age);
        Some(Values {
            rows,
            region: REGION,
            replica: format!("replica {replica}"),
            stale: behind,
            ages: vec![OriginAge {
                origin: REGION,
                micros,
            }],
            token: (applied > 0).then(|| encoded(applied as u64)),
        })
    }

    fn answer_lookup(&mut self, client: usize, call: CallId, answer: LookupAnswer) {
        if let LookupAnswer::Values(Values {
            token: Some(token), ..
        }) = &answer
        {
            let token = Token::decode(token.as_slice(), CLUSTER).expect("the model made it");
            for (_, reached) in token.streams() {
                let seen = &mut self.clients[client].seen;
                *seen = (*seen).max(reached.sequence.0);
            }
        }
        self.now += self.random.below(2_000);
        self.record(Event::LookupAnswered(LookupAnswered { call, answer }));
    }

    fn end(&mut self) {
        self.now += 1_000_000;
        for replica in 0..REPLICAS {
            self.apply(replica, self.log.len() - self.applied[replica]);
            for wanted in Generator::every_row(&PROBE, &self.settings) {
                let state = self.states[replica].get(&wanted.row);
                let cells = cells(state, &wanted, WALL + self.now);
                let (replica, began) = (format!("replica {replica}"), Micros(self.now));
                self.record(Event::FinalRead(FinalRead {
                    replica,
                    began,
                    wanted,
                    cells,
                }));
            }
        }
    }

    fn record(&mut self, event: Event) {
        self.entries.push(Entry {
            at: Micros(self.now),
            event,
        });
    }
}

fn header(seed: u64) -> Header {
    Header {
        format: FORMAT,
        title: "a correct cluster in miniature".to_owned(),
        seed,
        cluster: CLUSTER,
        regions: 1,
        wall_at_start: WALL,
        clock_error: CLOCK_ERROR,
        views: PROBE.rules(),
    }
}

fn encoded(sequence: u64) -> Bytes {
    let mut token = Token::default();
    let reached = Reached {
        incarnation: Incarnation(1),
        sequence: Sequence(sequence),
    };
    token.see(STREAM, reached, Hlc(sequence));
    Bytes::of(&token.encode(CLUSTER))
}

pub fn apply(entry: &Logged, state: &mut BTreeMap<RowKey, Row>) {
    for (row, version) in &entry.rows {
        let schema = SCHEMAS
            .iter()
            .find(|schema| schema.view() == row.row.view)
            .expect("the load writes its two views only");
        let old = state.remove(&row.row).unwrap_or_default();
        state.insert(
            row.row.clone(),
            merge(old, change_of(row, *version), schema),
        );
    }
}

fn change_of(row: &WriteRow, version: Version) -> Row {
    let cells = match &row.change {
        Change::Delete => return Row::deleted(version),
        Change::Set(cells) => cells,
    };
    let mut change = Row::default();
    for (feature, value) in cells {
        let content = match value {
            Some(value) => Content::Value(value.as_slice().to_vec().into()),
            None => Content::Null,
        };
        change.set(*feature, Cell::Latest { version, content });
    }
    change
}

/// The cells of an answer given at `now`.
pub fn cells(row: Option<&Row>, wanted: &Wanted, now: u64) -> Vec<ReadCell> {
    let ttl = (wanted.row.view == PROBE.state).then_some(PROBE.ttl.as_micros() as u64);
    wanted
        .features
        .iter()
        .map(|feature| cell(row, *feature, ttl, now))
        .collect()
}

fn cell(row: Option<&Row>, feature: FeatureId, ttl: Option<u64>, now: u64) -> ReadCell {
    let Some(Cell::Latest { version, content }) = row.and_then(|row| row.cell(feature)) else {
        return ReadCell {
            status: Status::NotFound,
            value: None,
            event_time: None,
        };
    };
    let event_time = Some(version.event_time);
    let expired = ttl.is_some_and(|ttl| version.event_time.micros() + ttl < now);
    let (status, value) = match content {
        _ if expired => (Status::OutsideMaxAge, None),
        Content::Null => (Status::NullValue, None),
        Content::Value(value) => (Status::Present, Some(Bytes::of(value))),
    };
    ReadCell {
        status,
        value,
        event_time,
    }
}
