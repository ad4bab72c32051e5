//! A bounded crowd: so many members at once, so many of one neighbour. The listener's connections are one, the open
//! requests another.
//!
//! A member either works or waits. When there is no place for a new member, the one that has waited longest is told to
//! leave and its place is given away; only when nobody waits is the new one turned away. So clients that open
//! connections and send nothing, or begin requests and never end them, compete with each other and not with those that
//! have something to ask.
//!
//! Deliberately absent: what members are, and any I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::authority::counters::Attendance;
use crate::http::frame::address::Neighbour;

/// How many there may be.
#[derive(Debug)]
pub(crate) struct Crowd {
    max: usize,
    per_neighbour_max: usize,
    inside: Mutex<Inside>,
    left: Notify,
    attendance: Attendance,
}

/// Who is there.
#[derive(Debug, Default)]
struct Inside {
    /// All members that have not left, those that were told to leave included.
    present: usize,
    /// Those of them that were told to leave.
    dismissed: usize,
    neighbours: HashMap<Neighbour, Household>,
    /// Those that wait, by the order in which they began to.
    waiting: BTreeMap<u64, (Option<Neighbour>, Arc<Notify>)>,
    next: u64,
}

/// The members of one neighbour.
#[derive(Debug, Default)]
struct Household {
    members: usize,
    waiting: BTreeSet<u64>,
}

/// There is no place, and nobody waits who could make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// For this neighbour.
    Neighbour,
    /// For anybody.
    All,
}

impl Crowd {
    /// An empty crowd.
    pub(crate) fn new(max: usize, per_neighbour_max: usize) -> Arc<Self> {
        Self::counted(max, per_neighbour_max, Attendance::default())
    }

    /// An empty crowd that is counted there.
    pub(crate) fn counted(
        max: usize,
        per_neighbour_max: usize,
        attendance: Attendance,
    ) -> Arc<Self> {
        let (inside, left) = (Mutex::default(), Notify::new());
        Arc::new(Self { max, per_neighbour_max, inside, left, attendance })
    }

    /// Takes one more in, which works. Without a neighbour only the whole crowd is bounded.
    pub(crate) fn enter(self: &Arc<Self>, neighbour: Option<Neighbour>) -> Result<Member, Full> {
        let entered = self.make_room(neighbour);
        match entered {
            Ok(_) => self.attendance.entered(),
            Err(full) => self.attendance.refused(full == Full::Neighbour),
        }
        entered
    }

    fn make_room(self: &Arc<Self>, neighbour: Option<Neighbour>) -> Result<Member, Full> {
        let mut inside = self.lock();
        if let Some(neighbour) = neighbour {
            inside.make_room_beside(neighbour, self.per_neighbour_max)?;
        }
        if inside.present - inside.dismissed >= self.max {
            let longest = inside.waiting.first_key_value().map(|(place, _)| *place);
            inside.dismiss(longest.ok_or(Full::All)?);
        }
        inside.present += 1;
        if let Some(neighbour) = neighbour {
            inside.neighbours.entry(neighbour).or_default().members += 1;
        }
        drop(inside);
        let place = Mutex::new(Place::Working);
        Ok(Member { crowd: Arc::clone(self), neighbour, leave: Arc::default(), place })
    }

    /// Tells the one that has waited longest to leave, if anybody waits.
    pub(crate) fn dismiss_one(&self) {
        let mut inside = self.lock();
        if let Some(longest) = inside.waiting.first_key_value().map(|(place, _)| *place) {
            inside.dismiss(longest);
        }
    }

    /// Waits until at most `slack` more are there than there may be: those that were told to leave take a moment.
    pub(crate) async fn settled(&self, slack: usize) {
        loop {
            let left = self.left.notified();
            if self.lock().present <= self.max.saturating_add(slack) {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Nothing below can panic between two changes that belong together.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// If a neighbour has as many as it may, the one of them that has waited longest leaves.
    fn make_room_beside(&mut self, neighbour: Neighbour, max: usize) -> Result<(), Full> {
        let household = self.neighbours.get(&neighbour);
        if household.is_some_and(|household| household.members >= max) {
            let longest = household.and_then(|household| household.waiting.first().copied());
            self.dismiss(longest.ok_or(Full::Neighbour)?);
        }
        Ok(())
    }

    /// Gives the place of a waiting member away.
    fn dismiss(&mut self, place: u64) {
        if let Some((neighbour, leave)) = self.waiting.remove(&place) {
            self.dismissed += 1;
            self.part(neighbour, Some(place));
            leave.notify_one();
        }
    }

    /// Takes a member out of its household.
    fn part(&mut self, neighbour: Option<Neighbour>, place: Option<u64>) {
        let Some(neighbour) = neighbour else { return };
        if let Some(household) = self.neighbours.get_mut(&neighbour) {
            household.members = household.members.saturating_sub(1);
            if let Some(place) = place {
                household.waiting.remove(&place);
            }
            if household.members == 0 {
                self.neighbours.remove(&neighbour);
            }
        }
    }
}

/// One that is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    crowd: Arc<Crowd>,
    neighbour: Option<Neighbour>,
    leave: Arc<Notify>,
    place: Mutex<Place>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Working,
    Waiting(u64),
}

impl Member {
    /// From now on it waits.
    pub(crate) fn wait(&self) {
        let (mut inside, mut place) = (self.crowd.lock(), self.place());
        if matches!(*place, Place::Working) {
            let next = inside.next;
            inside.next += 1;
            *place = Place::Waiting(next);
            inside.waiting.insert(next, (self.neighbour, Arc::clone(&self.leave)));
            if let Some(neighbour) = self.neighbour {
                inside.neighbours.entry(neighbour).or_default().waiting.insert(next);
            }
        }
    }

    /// From now on it works; `false` if it was told to leave before.
    pub(crate) fn work(&self) -> bool {
        let (mut inside, mut place) = (self.crowd.lock(), self.place());
        let Place::Waiting(number) = *place else { return true };
        if inside.waiting.remove(&number).is_none() {
            return false;
        }
        if let Some(household) =
            self.neighbour.and_then(|neighbour| inside.neighbours.get_mut(&neighbour))
        {
            household.waiting.remove(&number);
        }
        *place = Place::Working;
        true
    }

    /// Says whose it is, as soon as that is known: it competes with this neighbour's others from now on.
    ///
    /// # Errors
    /// The neighbour has as many as it may, and none of them waits.
    pub(crate) fn belongs_to(&mut self, neighbour: Neighbour) -> Result<(), Full> {
        let (mut inside, place) = (self.crowd.lock(), *self.place());
        let number = match place {
            Place::Waiting(number) if !inside.waiting.contains_key(&number) => return Ok(()),
            Place::Waiting(number) => Some(number),
            Place::Working => None,
        };
        if let Err(full) = inside.make_room_beside(neighbour, self.crowd.per_neighbour_max) {
            self.crowd.attendance.refused(true);
            return Err(full);
        }
        let household = inside.neighbours.entry(neighbour).or_default();
        household.members += 1;
        household.waiting.extend(number);
        if let Some((whose, _)) = number.and_then(|number| inside.waiting.get_mut(&number)) {
            *whose = Some(neighbour);
        }
        drop(inside);
        self.neighbour = Some(neighbour);
        Ok(())
    }

    /// Completes when it is told to leave.
    pub(crate) async fn dismissed(&self) {
        self.leave.notified().await;
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let (mut inside, place) = (self.crowd.lock(), *self.place());
        inside.present = inside.present.saturating_sub(1);
        match place {
            Place::Waiting(number) if inside.waiting.remove(&number).is_none() => {
                inside.dismissed = inside.dismissed.saturating_sub(1);
            }
            Place::Waiting(number) => inside.part(self.neighbour, Some(number)),
            Place::Working => inside.part(self.neighbour, None),
        }
        drop(inside);
        self.crowd.attendance.left();
        self.crowd.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(last: u8) -> Option<Neighbour> {
        Some(Neighbour::of([192, 0, 2, last].into()))
    }

    fn waiting(crowd: &Arc<Crowd>, who: Option<Neighbour>) -> Member {
        let member = crowd.enter(who).unwrap();
        member.wait();
        member
    }

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let crowd = Crowd::new(3, 9);
        let first = waiting(&crowd, neighbour(1));
        let second = waiting(&crowd, neighbour(2));
        // One that worked in between has not waited longest.
        assert!(first.work());
        first.wait();
        let third = waiting(&crowd, neighbour(3));
        let fourth = crowd.enter(neighbour(4)).unwrap();
        assert!(!second.work() && first.work() && third.work());
        // Those that work are not disturbed.
        assert_eq!(crowd.enter(neighbour(5)).unwrap_err(), Full::All);
        drop(fourth);
        assert!(crowd.enter(neighbour(5)).is_ok());
    }

    #[test]
    fn a_neighbour_competes_with_itself() {
        let crowd = Crowd::new(9, 2);
        let other = waiting(&crowd, neighbour(9));
        let (first, second) = (waiting(&crowd, neighbour(1)), waiting(&crowd, neighbour(1)));
        let third = crowd.enter(neighbour(1)).unwrap();
        assert!(!first.work() && second.work() && other.work());
        assert_eq!(crowd.enter(neighbour(1)).unwrap_err(), Full::Neighbour);
        assert!(crowd.enter(neighbour(2)).is_ok() && crowd.enter(None).is_ok());
        // The one that was told to leave is not counted twice when it goes.
        drop(first);
        assert_eq!(crowd.enter(neighbour(1)).unwrap_err(), Full::Neighbour);
        drop(third);
        assert!(crowd.enter(neighbour(1)).is_ok());
    }

    #[test]
    fn one_that_is_known_later_competes_with_its_neighbours_own() {
        let crowd = Crowd::new(9, 2);
        let other = waiting(&crowd, neighbour(9));
        let of = |last: u8| neighbour(last).unwrap();
        let later = || waiting(&crowd, None);
        let (mut first, mut second, mut third) = (later(), later(), later());
        first.belongs_to(of(1)).unwrap();
        second.belongs_to(of(1)).unwrap();
        third.belongs_to(of(1)).unwrap();
        assert!(!first.work() && second.work() && third.work() && other.work());
        let mut fourth = later();
        assert_eq!(fourth.belongs_to(of(1)), Err(Full::Neighbour));
        drop((first, fourth));
        assert_eq!(crowd.enter(neighbour(1)).unwrap_err(), Full::Neighbour);
        drop((second, third, other));
        let inside = crowd.lock();
        assert_eq!((inside.present, inside.dismissed), (0, 0));
        assert!(inside.neighbours.is_empty() && inside.waiting.is_empty());
    }

    #[tokio::test]
    async fn nothing_is_left_of_those_that_are_gone() {
        let crowd = Crowd::new(2, 1);
        for last in 0..100 {
            let (a, b) = (waiting(&crowd, neighbour(last)), crowd.enter(None).unwrap());
            let c = waiting(&crowd, neighbour(200));
            a.dismissed().await;
            crowd.settled(1).await;
            drop((a, b));
            crowd.dismiss_one();
            c.dismissed().await;
            drop(c);
        }
        crowd.settled(0).await;
        let inside = crowd.lock();
        assert_eq!((inside.present, inside.dismissed), (0, 0));
        assert!(inside.neighbours.is_empty() && inside.waiting.is_empty());
    }

    #[tokio::test]
    async fn a_place_that_was_given_away_is_waited_for() {
        let crowd = Crowd::new(1, 1);
        let first = waiting(&crowd, None);
        let second = crowd.enter(None).unwrap();
        let settled = tokio::spawn({
            let crowd = Arc::clone(&crowd);
            async move { crowd.settled(0).await }
        });
        tokio::task::yield_now().await;
        assert!(!settled.is_finished());
        drop(first);
        settled.await.unwrap();
        drop(second);
    }
}
