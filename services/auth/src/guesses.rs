//! Slowing down whoever guesses passwords, or signs up again and again.
//!
//! Guesses are counted for each person together with where they come from, and for each place alone; never for the person alone, since
//! then anyone could keep them out. After some guesses each next one has to wait, twice as long each time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use spanlake_model::{Clock, Code, Fault, MemberId, Timestamp};
use spanlake_transport::peer::network;

/// People and places whose guesses are counted, of each. At the bound the longest untouched go.
const COUNTED_MAX: usize = 100_000;
/// Without a guess for so long, all is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// A person's guesses from one place: ten are free, and nobody waits longer than a quarter of an hour.
const PERSON: Pace = Pace { free: 10, wait_max: Duration::from_secs(900) };
/// Guesses from one place, whoever's: an office shares one.
const PLACE: Pace = Pace { free: 200, wait_max: Duration::from_secs(60) };

/// Sign-ups from one place, those that are refused too: a school shares one.
const SIGN_UP: Pace = Pace { free: 200, wait_max: Duration::from_secs(60) };

/// How many guesses are free, and how long the wait grows after them.
struct Pace {
    free: u32,
    wait_max: Duration,
}

impl Pace {
    fn wait(&self, guesses: u32) -> Duration {
        match guesses.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << over.min(20)).min(self.wait_max),
        }
    }
}

/// Counts guesses in this process: of several auth processes each counts its own.
pub(crate) struct Guesses {
    clock: Arc<dyn Clock>,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    people: HashMap<[u8; 32], Tries>,
    places: HashMap<Option<IpAddr>, Tries>,
    sign_ups: HashMap<Option<IpAddr>, Tries>,
    refusals: HashMap<MemberId, Tries>,
}

#[derive(Clone, Copy)]
struct Tries {
    count: u32,
    last: Timestamp,
}

/// A guess that may be made. It counts as wrong until something else is known: also when whoever made it goes away.
#[must_use]
pub(crate) struct Guess<'a> {
    guesses: &'a Guesses,
    person: [u8; 32],
    place: Option<IpAddr>,
    at: Timestamp,
    /// When the last guesses before this one were, of the person and of the place.
    before: (Timestamp, Timestamp),
}

impl Guesses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, counted: Mutex::default() }
    }

    /// Counts a guess at this person's password, whether there is such a person or not.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait; then it is not counted.
    pub(crate) fn take(&self, person: &str, address: Option<IpAddr>) -> Result<Guess<'_>, Fault> {
        let place = address.map(network);
        let mut hasher = Sha256::new();
        hasher.update(person);
        hasher.update(format!("\0{place:?}"));
        let person = hasher.finalize().into();
        let now = self.clock.now();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = PERSON.left(counted.people.get(&person), now).max(PLACE.left(counted.places.get(&place), now));
        if !wait.is_zero() {
            return Err(too_many(wait, "wrong passwords", ", or have your password reset"));
        }
        let before = (count(&mut counted.people, person, now), count(&mut counted.places, place, now));
        Ok(Guess { guesses: self, person, place, at: now, before })
    }
}

impl Guesses {
    /// Counts a sign-up from there.
    ///
    /// # Errors
    /// `rate_limited`, with the time to wait; then it is not counted.
    pub(crate) fn take_sign_up(&self, address: Option<IpAddr>) -> Result<(), Fault> {
        let (place, now) = (address.map(network), self.clock.now());
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = SIGN_UP.left(counted.sign_ups.get(&place), now);
        if !wait.is_zero() {
            return Err(too_many(wait, "sign-ups from where you are", ""));
        }
        count(&mut counted.sign_ups, place, now);
        Ok(())
    }

    /// Counts that a login as this member was refused, wherever it came from. Answers the count when it is worth telling: 1, 10, 100 …
    pub(crate) fn refused(&self, member: MemberId) -> Option<u32> {
        let now = self.clock.now();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut counted.refusals, member, now);
        let times = counted.refusals.get(&member)?.count;
        (10_u32.pow(times.ilog10()) == times).then_some(times)
    }
}

impl Guess<'_> {
    /// Counts what came of it: something was opened, nothing was, or we failed.
    pub(crate) fn outcome<T, E>(self, outcome: Result<Option<T>, E>) -> Result<Option<T>, E> {
        match &outcome {
            Ok(Some(_)) => self.was_right(),
            Ok(None) => {}
            Err(_) => self.was_not_looked_at(),
        }
        outcome
    }

    /// The person's count begins anew, and the place has one less.
    fn was_right(self) {
        let mut counted = self.guesses.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.people.remove(&self.person);
        if let Some(tries) = counted.places.get_mut(&self.place) {
            tries.count = tries.count.saturating_sub(1);
        }
    }

    /// Nobody has found out whether it was right, and that was our fault: it is not counted.
    fn was_not_looked_at(self) {
        let mut counted = self.guesses.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = &mut *counted;
        let (person, place) = (counted.people.get_mut(&self.person), counted.places.get_mut(&self.place));
        for (tries, before) in [(person, self.before.0), (place, self.before.1)] {
            if let Some(tries) = tries {
                tries.take_back(self.at, before);
            }
        }
    }
}

impl Pace {
    fn left(&self, tries: Option<&Tries>, now: Timestamp) -> Duration {
        let Some(tries) = tries.filter(|tries| !tries.is_forgotten(now)) else { return Duration::ZERO };
        tries.last.plus(self.wait(tries.count)).since(now)
    }
}

impl Tries {
    fn is_forgotten(self, now: Timestamp) -> bool {
        self.last.plus(FORGOTTEN_AFTER) <= now
    }

    /// As if the try at `at` had not been; nothing has to wait for it, unless there was another since.
    fn take_back(&mut self, at: Timestamp, before: Timestamp) {
        self.count = self.count.saturating_sub(1);
        if self.last == at {
            self.last = before;
        }
    }
}

/// Counts a try, and answers when the one before it was.
fn count<K: Hash + Eq + Copy>(counted: &mut HashMap<K, Tries>, key: K, now: Timestamp) -> Timestamp {
    if counted.len() >= COUNTED_MAX && !counted.contains_key(&key) {
        make_room(counted, now);
    }
    let tries = counted.entry(key).or_insert(Tries { count: 0, last: now });
    if tries.is_forgotten(now) {
        tries.count = 0;
    }
    let before = tries.last;
    *tries = Tries { count: tries.count.saturating_add(1), last: now };
    before
}

/// What is forgotten anyway goes, and if that is not enough, the older half.
fn make_room<K: Hash + Eq + Copy>(counted: &mut HashMap<K, Tries>, now: Timestamp) {
    counted.retain(|_, tries| !tries.is_forgotten(now));
    if counted.len() < COUNTED_MAX {
        return;
    }
    let mut times: Vec<_> = counted.values().map(|tries| tries.last).collect();
    let middle = times.len() / 2;
    let (_, &mut median, _) = times.select_nth_unstable(middle);
    counted.retain(|_, tries| tries.last > median);
}

fn too_many(wait: Duration, what: &str, or_else: &str) -> Fault {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    let message = format!("Too many {what}; try again in {seconds} s{or_else}.");
    Fault::new(Code::RateLimited, message).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct TestClock(AtomicI64);

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(self.0.load(Ordering::SeqCst))
        }
    }

    fn fixture() -> (Arc<TestClock>, Guesses) {
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000)));
        (Arc::clone(&clock), Guesses::new(clock))
    }
    fn place(number: u8) -> Option<IpAddr> {
        Some(IpAddr::from([203, 0, 113, number]))
    }

    #[test]
    fn after_ten_wrong_guesses_each_next_waits_twice_as_long_and_no_longer_than_a_quarter_of_an_hour() {
        let (clock, guesses) = fixture();
        for _ in 0..10 {
            let _ = guesses.take("ann", place(1)).unwrap();
        }
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            let refused = guesses.take("ann", place(1)).err().unwrap();
            assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(Duration::from_secs(seconds))));
            clock.0.fetch_add(i64::try_from(seconds).unwrap() - 1, Ordering::SeqCst);
            assert!(guesses.take("ann", place(1)).is_err());
            clock.0.fetch_add(1, Ordering::SeqCst);
            let _ = guesses.take("ann", place(1)).unwrap();
        }
    }

    #[test]
    fn a_stranger_who_guesses_keeps_nobody_else_out() {
        let (_, guesses) = fixture();
        for _ in 0..1_000 {
            let _ = guesses.take("ann", place(1));
        }
        guesses.take("ann", place(2)).unwrap().was_right();
        assert!(guesses.take("ann", place(1)).is_err(), "and her coming in does not help the stranger");
    }

    #[test]
    fn whoever_tries_many_people_from_one_place_is_slowed_there() {
        let (_, guesses) = fixture();
        for number in 0..200 {
            let _ = guesses.take(&format!("person {number}"), place(1)).unwrap();
        }
        assert!(guesses.take("ann", place(1)).is_err());
        let _ = guesses.take("ann", place(2)).unwrap();
    }

    #[test]
    fn a_right_password_costs_nothing_and_an_hour_forgets() {
        let (clock, guesses) = fixture();
        for _ in 0..1_000 {
            guesses.take("ann", place(1)).unwrap().was_right();
        }
        for _ in 0..10 {
            let _ = guesses.take("ann", place(1)).unwrap();
        }
        assert!(guesses.take("ann", place(1)).is_err());
        clock.0.fetch_add(3_600, Ordering::SeqCst);
        let _ = guesses.take("ann", place(1)).unwrap();
        let _ = guesses.take("ann", place(1)).unwrap();
    }

    #[test]
    fn a_guess_that_was_not_looked_at_costs_nothing_and_one_that_was_given_up_counts() {
        let (clock, guesses) = fixture();
        for _ in 0..1_000 {
            guesses.take("ann", place(1)).unwrap().was_not_looked_at();
        }
        for _ in 0..10 {
            let _ = guesses.take("ann", place(1)).unwrap();
        }
        assert!(guesses.take("ann", place(1)).is_err());
        clock.0.fetch_add(1, Ordering::SeqCst);
        for _ in 0..3 {
            guesses.take("ann", place(1)).expect("nobody waits for what failed").was_not_looked_at();
        }
        drop(guesses.take("ann", place(1)).unwrap());
        assert!(guesses.take("ann", place(1)).is_err());
    }

    #[test]
    fn whoever_signs_up_again_and_again_is_slowed_and_may_log_in() {
        let (clock, guesses) = fixture();
        for _ in 0..200 {
            guesses.take_sign_up(place(1)).unwrap();
        }
        let refused = guesses.take_sign_up(place(1)).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(Duration::from_secs(1))));
        guesses.take_sign_up(place(2)).unwrap();
        let _ = guesses.take("ann", place(1)).unwrap();
        clock.0.fetch_add(1, Ordering::SeqCst);
        guesses.take_sign_up(place(1)).unwrap();
        assert!(guesses.take_sign_up(place(1)).is_err());
    }

    #[test]
    fn of_refused_logins_each_ten_times_as_many_is_told() {
        let (clock, guesses) = fixture();
        let (ann, bob) = (MemberId::from_bytes([1; 16]), MemberId::from_bytes([2; 16]));
        let told: Vec<_> = (0..2_000).filter_map(|_| guesses.refused(ann)).collect();
        assert_eq!(told, [1, 10, 100, 1_000]);
        assert_eq!(guesses.refused(bob), Some(1));
        clock.0.fetch_add(3_600, Ordering::SeqCst);
        assert_eq!(guesses.refused(ann), Some(1), "after an hour's rest");
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let (_, guesses) = fixture();
        let mut counted = HashMap::new();
        for number in 0..COUNTED_MAX + 1_000 {
            let now = Timestamp::from_secs(1_800_000_000).plus(Duration::from_millis(number as u64));
            count(&mut counted, number, now);
        }
        assert!(counted.len() <= COUNTED_MAX);
        assert!(counted.contains_key(&(COUNTED_MAX + 999)) && !counted.contains_key(&0));
        drop(guesses);
    }
}
