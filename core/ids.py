"""Row ids, one type for each kind of row, so that a chat's id never passes for a contact's."""

from typing import NewType

OwnerId = NewType("OwnerId", int)
AccountId = NewType("AccountId", int)
SourceId = NewType("SourceId", int)
BatchId = NewType("BatchId", int)
ContactId = NewType("ContactId", int)
ChatId = NewType("ChatId", int)
ThreadId = NewType("ThreadId", int)
MessageId = NewType("MessageId", int)
AudienceId = NewType("AudienceId", int)
TurnId = NewType("TurnId", int)
DraftId = NewType("DraftId", int)
OutboxId = NewType("OutboxId", int)
FactId = NewType("FactId", int)
TopicId = NewType("TopicId", int)
AdapterId = NewType("AdapterId", int)
