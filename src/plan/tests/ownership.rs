//! Who owns an object: what others put there, and what may be taken over.

use super::*;

#[test]
fn what_has_guests_is_never_taken_over_where_the_server_would_tell_them() {
    let taken = |schedules, has_guests| {
        let mut case = new_object().foreign(4, false).policy(|policy| {
            (policy.schedules, policy.take_over) = (schedules, Some(TakeOver::All));
        });
        case.remote.found.get_mut(&Href::new("theirs.ics")).unwrap().has_guests = has_guests;
        case.ops()
    };
    assert_eq!(taken(true, true), [leave(Occupant::Different)]);
    for (schedules, has_guests) in [(true, false), (false, true)] {
        assert_eq!(taken(schedules, has_guests), [update("theirs.ics", "9", None)]);
    }
}

#[test]
fn a_person_takes_over_what_says_the_same_or_has_a_name_of_our_shape_or_everything() {
    let taken = |name: &str, content, same, take_over| {
        let mut case = new_object().policy(|policy| {
            (policy.rules.on_conflict, policy.take_over) = (OnConflict::Ask, take_over);
        });
        case.remote.foreign.insert(key("u"), Href::new(name));
        case.found(name, "9", content, same).ops() != [leave(if same { Occupant::Equal } else { Occupant::Different })]
    };
    let (ours, theirs) = ("f850dde1-21742df9fd77b8904b910251b0aa7cb1.ics", "theirs.ics");
    for (take_over, expected) in [
        (None, [false, false, false, false]),
        (Some(TakeOver::Ours), [true, true, true, false]),
        (Some(TakeOver::All), [true, true, true, true]),
    ] {
        let cases = [(ours, 1, true), (ours, 4, false), (theirs, 1, true), (theirs, 4, false)];
        assert_eq!(cases.map(|(name, content, same)| taken(name, content, same, take_over)), expected, "{take_over:?}");
    }
}

#[test]
fn an_object_of_another_subscription_is_never_adopted() {
    let mut case = new_object().foreign(1, true).policy(|policy| policy.rules.on_conflict = OnConflict::Adopt);
    case.remote.others.insert(Href::new("theirs.ics"));
    check(&case, &[leave(Occupant::Subscription)]);
}

#[test]
fn a_uid_under_a_foreign_href_is_adopted_only_as_on_conflict_says() {
    let under = |content, same, on_conflict| {
        new_object().foreign(content, same).policy(|policy| policy.rules.on_conflict = on_conflict).ops()
    };
    assert_eq!(under(1, true, OnConflict::Equal), [note("theirs.ics", "9", None, true)]);
    assert_eq!(under(4, false, OnConflict::Adopt), [update("theirs.ics", "9", None)]);
    assert_eq!(under(4, false, OnConflict::Equal), [leave(Occupant::Different)]);
    assert_eq!(under(4, false, OnConflict::Skip), [leave(Occupant::Different)]);
    assert_eq!(under(1, true, OnConflict::Skip), [leave(Occupant::Equal)]);
}

#[test]
fn a_conflict_is_told_once_and_ends_when_the_foreign_object_is_gone() {
    let known = || new_object().status(Status::Occupied(Occupant::Different));
    check(&known().foreign(4, false), &[]);
    check(&known(), &[create(false)]);
}
