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
