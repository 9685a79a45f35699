-- Forced change of a password, lockout, former passwords, rules, custom roles.

alter table account add column must_change_password integer not null default 0;
alter table account add column failures             integer not null default 0; -- wrong passwords since the last good one
alter table account add column failed_at            integer not null default 0; -- the last of them, 0 = none
alter table account add column locked               integer not null default 0;
alter table account add column locked_until         integer not null default 0; -- 0 while locked = until somebody unlocks it

-- The version of the last change that ended the account's sessions.
alter table account add column session_version integer not null default 1;
update account set session_version = version;

create index account_role on account (role);

create table former_password (
    account_id    text    not null references account (id) on delete cascade,
    serial        integer not null, -- the version of the account that the password ended with
    password_hash text    not null,
    primary key (account_id, serial)
) strict;

create table login_rule (
    id           integer primary key check (id = 1),
    min_password integer not null, -- characters
    max_password integer not null,
    history      integer not null,
    threshold    integer not null, -- wrong passwords until a lockout, 0 = none
    duration     integer not null, -- nanoseconds, 0 = until somebody unlocks the account
    reset_after  integer not null, -- nanoseconds, 0 = never
    version      integer not null,
    updated_at   integer not null,
    node         text    not null,
    epoch        integer not null
) strict;

insert into login_rule (id, min_password, max_password, history, threshold, duration, reset_after, version, updated_at, node, epoch)
values (1, 8, 128, 0, 0, 300000000000, 300000000000, 1, 0, '', 0);

create table role (
    name           text    primary key,
    privileges     integer not null, -- the bits of auth.Privileges
    account_serial integer not null, -- raised by each account that takes the role: its lock
    version        integer not null,
    created_at     integer not null,
    updated_at     integer not null,
    node           text    not null,
    epoch          integer not null
) strict;

-- Parent row of the number of custom roles.
insert into counter (name, value) values ('roles', 0);
