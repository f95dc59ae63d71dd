use super::*;
use crate::file;
use crate::rows::{Origin, Row, encode};
use arrow::array::AsArray;
use arrow::compute::{concat_batches, filter_record_batch};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use spanlake_model::{
    AppId, FileId, Kind, Span, SpanId, SpanKey, Status, Table, TenantId, Timestamp, TraceId, WriterId,
};
use std::time::Duration;

const TENANT: TenantId = TenantId::from_bytes([3; 16]);
const DAY: Day = Day(20_000);

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
    /// Hard to compress.
    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(bytes);
        text
    }
}

fn row(id: u64, minute: u64, app: u8, input: String) -> Row {
    let start = Timestamp::from_secs(i64::from(DAY.0) * 86_400).plus(Duration::from_secs(minute * 60));
    let mut trace = [1; 16];
    trace[8..].copy_from_slice(&(id % 7).to_be_bytes());
    let key = SpanKey {
        app_id: AppId::from_bytes([app; 16]),
        trace_id: TraceId::from_bytes(trace).unwrap(),
        span_id: SpanId::from_bytes((id + 1).to_be_bytes()).unwrap(),
    };
    let span = Span {
        name: format!("chat {}", id % 5),
        kind: Kind::new(Kind::LLM),
        status: Status::Ok,
        end: Some(start.plus(Duration::from_millis(id % 900))),
        model: Some("gpt-4o".into()),
        session_id: Some(format!("s{}", id % 11)),
        tags: vec!["tag".into(); usize::try_from(id % 3).unwrap()],
        input: Some(input),
        ..Span::new(key, start)
    };
    Row { span, received_at: start, sequence: id }
}

fn batch(rows: &[Row]) -> RecordBatch {
    encode(Origin { tenant: TENANT, writer: WriterId::from_bytes([4; 16]) }, rows)
}

fn sorted(batches: &[RecordBatch]) -> RecordBatch {
    file::sort(Table::Spans, batches).unwrap().remove(0).1
}

fn name(number: u8) -> Name {
    Name { tenant: TENANT, table: Table::Spans, day: DAY, file: FileId::from_bytes([number; 16]) }
}

const OUTPUT: u8 = 255;

/// Several row groups, several pages in each.
fn small_pages() -> Config {
    Config { row_group_rows_max: 400, page_bytes: 4_096, text_page_bytes: 4_096, ..Config::default() }
}

struct Files {
    objects: Arc<InMemory>,
    paths: Vec<String>,
}

impl Files {
    async fn of(files: &[RecordBatch], config: &Config) -> Self {
        let objects = Arc::new(InMemory::new());
        let mut paths = Vec::new();
        for (rows, number) in files.iter().zip(1..) {
            let (bytes, _) = file::encode(&name(number), rows, config).unwrap();
            file::put(objects.as_ref(), &name(number), bytes).await.unwrap();
            paths.push(name(number).path());
        }
        Self { objects, paths }
    }

    async fn open(&self, bounds: &Bounds, config: &Config) -> Inputs {
        let paths: Vec<_> = self.paths.iter().map(String::as_str).collect();
        open(self.objects.clone(), &paths, bounds, config).await.unwrap()
    }

    async fn merge(
        &self,
        bounds: &Bounds,
        config: &Config,
        living: fn(usize, RecordBatch) -> RecordBatch,
    ) -> Result<Merged, Error> {
        let (inputs, config) = (self.open(bounds, config).await, config.clone());
        let merge = move || inputs.write(&name(OUTPUT), &config, &|number, rows| Ok(living(number, rows)), &|| true);
        tokio::task::spawn_blocking(merge).await.unwrap()
    }

    async fn output(&self) -> Option<RecordBatch> {
        let rows = file::read(self.objects.clone(), &name(OUTPUT).path(), None).await.ok()?;
        let batches: Vec<_> = rows.try_collect().await.unwrap();
        Some(concat_batches(&crate::schema::spans(), &batches).unwrap())
    }
}

/// Files of rows that fall between each other's, some in long runs.
fn mixed(numbers: &mut Numbers, files: usize, rows: u64) -> Vec<RecordBatch> {
    let file = |first: u64, numbers: &mut Numbers| {
        let rows: Vec<_> = (0..numbers.below(rows) + 1)
            .map(|index| {
                let minute = if first.is_multiple_of(2) { first } else { numbers.below(30) };
                let bytes = usize::try_from(numbers.below(300)).unwrap();
                row(first * 100_000 + index, minute, 1 + u8::try_from(index % 2).unwrap(), numbers.text(bytes))
            })
            .collect();
        sorted(&[batch(&rows)])
    };
    (0..files).map(|number| file(number as u64, numbers)).collect()
}

fn everything(_: usize, rows: RecordBatch) -> RecordBatch {
    rows
}

#[tokio::test]
async fn the_output_is_every_row_once_in_order_whatever_the_memory() {
    for seed in 1..=8 {
        let mut numbers = Numbers(seed * 7_919);
        let files = mixed(&mut numbers, 2 + usize::try_from(seed).unwrap(), 2_000);
        let merged = Files::of(&files, &small_pages()).await;
        // From one window over all to small ones for each column.
        let bounds = Bounds {
            memory_bytes_max: [1 << 20, 8 << 20, 256 << 20][usize::try_from(seed % 3).unwrap()],
            inputs_max: 32,
        };
        let inputs = merged.open(&bounds, &small_pages()).await.len();
        let outcome = merged.merge(&bounds, &small_pages(), everything).await.unwrap().written.unwrap();
        let expected = sorted(&files[..inputs]);
        assert_eq!(merged.output().await.unwrap(), expected, "seed {seed}");
        let whole = file::encode(&name(OUTPUT), &expected, &small_pages()).unwrap().1;
        assert_eq!(
            (outcome.rows, outcome.min_start, outcome.max_start),
            (whole.rows, whole.min_start, whole.max_start)
        );
        let stored = merged.objects.get_opts(&name(OUTPUT).path().as_str().into(), Default::default()).await.unwrap();
        assert_eq!(outcome.bytes, stored.meta.size);
    }
}

fn every_other(number: usize, rows: RecordBatch) -> RecordBatch {
    if number == 0 {
        return rows.slice(0, 0);
    }
    let sequences = rows.column_by_name("sequence").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    filter_record_batch(&rows, &sequences.iter().map(|sequence| sequence.map(|sequence| sequence % 2 == 0)).collect())
        .unwrap()
}

#[tokio::test]
async fn only_what_lives_on_is_written() {
    let files = mixed(&mut Numbers(11), 4, 1_500);
    let merged = Files::of(&files, &small_pages()).await;
    merged.merge(&Bounds::default(), &small_pages(), every_other).await.unwrap();
    let living: Vec<_> = files.iter().cloned().enumerate().map(|(number, rows)| every_other(number, rows)).collect();
    assert_eq!(merged.output().await.unwrap(), sorted(&living));
}

#[tokio::test]
async fn when_nothing_lives_on_there_is_no_file() {
    let merged = Files::of(&mixed(&mut Numbers(12), 2, 50), &small_pages()).await;
    let outcome = merged.merge(&Bounds::default(), &small_pages(), |_, rows| rows.slice(0, 0)).await.unwrap();
    assert_eq!(outcome.written, None);
    assert_eq!(merged.output().await, None);
}

#[tokio::test]
async fn rows_out_of_order_stop_the_merge_and_name_their_file() {
    let rows: Vec<_> = (0..100).map(|id| row(id, 100 - id, 1, String::new())).collect();
    let good = mixed(&mut Numbers(13), 1, 100).remove(0);
    let merged = Files::of(&[good, batch(&rows)], &small_pages()).await;
    let refused = merged.merge(&Bounds::default(), &small_pages(), everything).await;
    assert!(matches!(&refused, Err(Error::Unsorted { path }) if *path == merged.paths[1]), "{refused:?}");
    assert_eq!(merged.output().await, None);
}

#[tokio::test]
async fn rows_of_another_day_stop_the_merge_and_name_their_file() {
    let files = [row(1, 10, 1, String::new()), row(2, 24 * 60, 1, String::new())].map(|row| batch(&[row]));
    let merged = Files::of(&files, &small_pages()).await;
    let refused = merged.merge(&Bounds::default(), &small_pages(), everything).await;
    assert!(matches!(&refused, Err(Error::Stray { path, .. }) if *path == merged.paths[1]), "{refused:?}");
    assert_eq!(merged.output().await, None);
}

#[tokio::test]
async fn a_merge_that_is_stopped_leaves_nothing() {
    let merged = Files::of(&mixed(&mut Numbers(14), 3, 900), &small_pages()).await;
    let inputs = merged.open(&Bounds::default(), &small_pages()).await;
    let stopped = tokio::task::spawn_blocking(move || {
        inputs.write(&name(OUTPUT), &small_pages(), &|_, rows| Ok(rows), &|| false)
    });
    assert!(matches!(stopped.await.unwrap(), Err(Error::Stopped)));
    assert_eq!(merged.output().await, None);
}

#[tokio::test]
async fn no_more_files_are_taken_than_the_bound_says() {
    let merged = Files::of(&mixed(&mut Numbers(15), 6, 50), &small_pages()).await;
    for (inputs_max, taken) in [(0, 2), (4, 4), (32, 6)] {
        let bounds = Bounds { inputs_max, ..Bounds::default() };
        assert_eq!(merged.open(&bounds, &small_pages()).await.len(), taken);
    }
}

/// Values of twenty megabytes; whole, the rows of these files take 240 MB, and twice that while they are put together.
#[tokio::test]
async fn huge_values_stay_within_the_bound_on_memory() {
    let text = Numbers(16).text(20 << 20);
    let files: Vec<_> = (0..4_u64)
        .map(|file| {
            let input = |id: u64| format!("{id}{}", &text[usize::try_from(id).unwrap()..]);
            let mut rows: Vec<_> = (0..3).map(|id| row(file * 100 + id, id * 6 + file, 1, input(id))).collect();
            rows.extend((3..90).map(|id| row(file * 100 + id, id, 1, "small".into())));
            sorted(&[batch(&rows)])
        })
        .collect();
    let config = Config { row_group_bytes_max: 32 << 20, ..Config::default() };
    let merged = Files::of(&files, &config).await;
    let bounds = Bounds::default();
    let taken = merged.open(&bounds, &config).await.len();
    assert_eq!(taken, 2, "not all four");
    let held = merged.merge(&bounds, &config, everything).await.unwrap().held_bytes_max;
    assert!((100 << 20..=bounds.memory_bytes_max).contains(&held), "{held}");
    assert_eq!(merged.output().await.unwrap(), sorted(&files[..taken]));
}

/// The row out of order comes last: by then parts of the output are in the folder, under a name of their own.
#[tokio::test]
async fn a_merge_that_fails_after_parts_were_sent_leaves_nothing() {
    let folder = std::env::temp_dir().join(format!("spanlake-merge-fails-{}", std::process::id()));
    let store = crate::local::LocalStore::open(folder.clone(), Arc::new(crate::disk::LocalDisk)).unwrap();
    let text = Numbers(17).text(20 << 20);
    let good = batch(&[0, 1, 2].map(|id| row(id, id, 1, format!("{id}{text}"))));
    let bad = batch(&[row(3, 8, 1, String::new()), row(4, 7, 1, String::new())]);
    let config = Config { row_group_rows_max: 1, ..Config::default() };
    for (rows, number) in [good, bad].iter().zip(1..) {
        let (bytes, _) = file::encode(&name(number), rows, &config).unwrap();
        file::put(&store, &name(number), bytes).await.unwrap();
    }
    let paths = [name(1).path(), name(2).path()];
    let inputs =
        open(Arc::new(store), &paths.each_ref().map(String::as_str), &Bounds::default(), &config).await.unwrap();
    let day = folder.join(&paths[0]).parent().unwrap().to_path_buf();
    let files = move || std::fs::read_dir(&day).unwrap().count();
    let meanwhile = files.clone();
    let merge = move || {
        let most = std::cell::Cell::new(0);
        let go_on = || {
            most.set(most.get().max(meanwhile()));
            true
        };
        (inputs.write(&name(OUTPUT), &config, &|_, rows| Ok(rows), &go_on), most.get())
    };
    let (outcome, most) = tokio::task::spawn_blocking(merge).await.unwrap();
    assert!(matches!(outcome, Err(Error::Unsorted { .. })), "{outcome:?}");
    assert_eq!((most, files()), (3, 2));
    std::fs::remove_dir_all(folder).unwrap();
}
