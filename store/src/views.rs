//! What the store knows of views: the short numbers that index entries carry, floors, and how late
//! events may come. Definitions stay in the registry.

use proto::{id::ViewId, time::EventTime};
use std::{collections::BTreeMap, time::Duration};

/// A view's number in the index of this process. Not stored: hint files bring their own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ViewNumber(pub(crate) u16);

impl ViewNumber {
    /// Shared by all views past the 2,047th; whose row it is stands in the record alone.
    pub(crate) const SHARED: Self = Self(2_047);
}

/// The table of views.
#[derive(Debug, Default)]
pub(crate) struct Views {
    numbers: BTreeMap<ViewId, ViewNumber>,
    by_number: Vec<Purge>,
    shared: BTreeMap<ViewId, Purge>,
}

/// What may be purged of a view's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Purge {
    /// Rows of earlier events no longer exist.
    pub(crate) floor: EventTime,
    /// How late an event may be written; `None`: as late as one likes, so tombstones stay.
    pub(crate) max_late: Option<Duration>,
}

impl Views {
    /// The number of `view`, given when it is first met.
    pub(crate) fn number(&mut self, view: ViewId) -> ViewNumber {
        if let Some(number) = self.numbers.get(&view) {
            return *number;
        }
        let number = match u16::try_from(self.by_number.len()) {
            Ok(next) if next < ViewNumber::SHARED.0 => {
                self.by_number.push(Purge::default());
                ViewNumber(next)
            }
            _ => ViewNumber::SHARED,
        };
        self.numbers.insert(view, number);
        number
    }

    /// The number of `view` if it was met.
    pub(crate) fn known(&self, view: ViewId) -> Option<ViewNumber> {
        self.numbers.get(&view).copied()
    }

    /// What may be purged of `view`.
    pub(crate) fn purge(&self, view: ViewId) -> Purge {
        match self.numbers.get(&view) {
            Some(&ViewNumber::SHARED) => self.shared.get(&view).copied().unwrap_or_default(),
            Some(number) => self.by_number[usize::from(number.0)],
            None => Purge::default(),
        }
    }

    /// What may be purged of the view with that number; `None` where the record must say which.
    pub(crate) fn purge_of(&self, number: ViewNumber) -> Option<Purge> {
        self.by_number.get(usize::from(number.0)).copied()
    }

    /// Raises a floor; says whether it rose.
    pub(crate) fn raise_floor(&mut self, view: ViewId, floor: EventTime) -> bool {
        let purge = self.purge_mut(view);
        let rises = floor > purge.floor;
        purge.floor = purge.floor.max(floor);
        rises
    }

    pub(crate) fn set_max_late(&mut self, view: ViewId, max_late: Option<Duration>) {
        self.purge_mut(view).max_late = max_late;
    }

    fn purge_mut(&mut self, view: ViewId) -> &mut Purge {
        let number = self.number(view);
        if number == ViewNumber::SHARED {
            return self.shared.entry(view).or_default();
        }
        &mut self.by_number[usize::from(number.0)]
    }

    /// All floors that are set, by view.
    pub(crate) fn floors(&self) -> Vec<(ViewId, EventTime)> {
        let floors = self
            .numbers
            .keys()
            .map(|view| (*view, self.purge(*view).floor));
        floors
            .filter(|(_, floor)| *floor > EventTime::default())
            .collect()
    }

    /// The view of each number.
    pub(crate) fn by_number(&self) -> Vec<ViewId> {
        let mut views = vec![ViewId(0); self.by_number.len()];
        for (view, number) in self
            .numbers
            .iter()
            .filter(|(_, number)| **number != ViewNumber::SHARED)
        {
            views[usize::from(number.0)] = *view;
        }
        views
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_past_the_last_number_share_it_and_keep_their_own_floors() {
        let mut views = Views::default();
        for id in 0..2_050 {
            views.number(ViewId(id));
        }
        assert_eq!(views.known(ViewId(2_046)), Some(ViewNumber(2_046)));
        assert_eq!(views.known(ViewId(2_048)), Some(ViewNumber::SHARED));
        assert!(views.raise_floor(ViewId(2_048), EventTime::saturating(9)));
        assert!(
            !views.raise_floor(ViewId(2_048), EventTime::saturating(8)),
            "floors only rise"
        );
        assert_eq!(views.purge(ViewId(2_048)).floor.micros(), 9);
        assert_eq!(views.purge(ViewId(2_049)).floor.micros(), 0);
        assert_eq!(views.purge_of(ViewNumber::SHARED), None);
        assert_eq!(views.floors(), [(ViewId(2_048), EventTime::saturating(9))]);
    }
}
