-- The rules of a listener for who comes in there, once somebody has set them.
create table listener_rule (
    listener          text    primary key,
    sessions_disabled integer not null,
    idle              integer not null, -- nanoseconds, as is lifetime
    lifetime          integer not null, -- 0 = no absolute end
    basic             text    not null,
    certificates      integer not null,
    mapping           text    not null,
    strict            integer not null,
    version           integer not null, -- raised by each change
    updated_at        integer not null,
    node              text    not null,
    epoch             integer not null
) strict;

-- How many sessions account and listener have, kept with the sessions, so that no
-- login counts them. Whoever raises it holds the row until the commit.
alter table account  rename column session_serial to sessions;
alter table listener rename column session_serial to sessions;

-- Timeouts are the listener's, at each check, and none is the session's own.
create table session_new (
    id           text    primary key,
    token_hash   blob    not null unique,
    account_id   text    not null references account (id) on delete cascade,
    listener     text    not null references listener (name),
    source       text    not null,
    context      text    not null,
    created_at   integer not null,
    last_used_at integer not null,
    node         text    not null,
    epoch        integer not null
) strict, without rowid;

insert into session_new (id, token_hash, account_id, listener, source, context, created_at, last_used_at, node, epoch)
select id, token_hash, account_id, listener, source, context, created_at, last_used_at, node, epoch from session;

drop table session;
alter table session_new rename to session;
create index session_account on session (account_id);

update account  set sessions = (select count(*) from session s where s.account_id = account.id);
update listener set sessions = (select count(*) from session s where s.listener = listener.name);

create trigger session_ended after delete on session begin
    update account  set sessions = sessions - 1 where id = old.account_id;
    update listener set sessions = sessions - 1 where name = old.listener;
end;

-- Raised where a wrong password counts for no account, to no other end than that
-- something is written.
insert into counter (name, value) values ('uncounted failures', 0);
