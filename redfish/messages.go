package redfish

import "strings"

// registry is the prefix of our message ids. The Python library's pattern
// takes exactly two version numbers.
const registry = "Base.1.22."

// A message is one entry of the Base registry. Only the entries in use are
// here; %1 to %9 in text stand for the arguments.
type message struct {
	text       string
	severity   string
	resolution string
}

const (
	ok       = "OK"
	critical = "Critical"
	warning  = "Warning"

	resubmitFailed     = " and resubmit the request if the operation failed."
	fixProperty        = "Correct the value for the property in the request body" + resubmitFailed
	fromList           = "Choose a value from the enumeration list that the implementation can support" + resubmitFailed
	fixActionParameter = "Correct the value for the parameter in the request body" + resubmitFailed
	fixParameter       = "Correct the value for the query parameter in the request" + resubmitFailed
)

// The keys of the entries in use.
const (
	keyGeneralError                   = "GeneralError"
	keyInternalError                  = "InternalError"
	keyNoValidSession                 = "NoValidSession"
	keyResourceAtURIUnauthorized      = "ResourceAtUriUnauthorized"
	keyInsufficientPrivilege          = "InsufficientPrivilege"
	keySessionLimitExceeded           = "SessionLimitExceeded"
	keyServiceTemporarilyUnavail      = "ServiceTemporarilyUnavailable"
	keyResourceMissingAtURI           = "ResourceMissingAtURI"
	keyOperationNotAllowed            = "OperationNotAllowed"
	keyHeaderInvalid                  = "HeaderInvalid"
	keyPreconditionFailed             = "PreconditionFailed"
	keyPayloadTooLarge                = "PayloadTooLarge"
	keyMalformedJSON                  = "MalformedJSON"
	keyEmptyJSON                      = "EmptyJSON"
	keyUnrecognizedRequestBody        = "UnrecognizedRequestBody"
	keyPropertyMissing                = "PropertyMissing"
	keyPropertyDuplicate              = "PropertyDuplicate"
	keyPropertyUnknown                = "PropertyUnknown"
	keyPropertyValueTypeError         = "PropertyValueTypeError"
	keyPropertyValueError             = "PropertyValueError"
	keyQueryParameterUnsupported      = "QueryParameterUnsupported"
	keyQueryParameterValueError       = "QueryParameterValueError"
	keyQueryNotSupportedOnOperation   = "QueryNotSupportedOnOperation"
	keyQueryNotSupportedOnResource    = "QueryNotSupportedOnResource"
	keyCreateLimitReached             = "CreateLimitReachedForResource"
	keyPropertyNotWritable            = "PropertyNotWritable"
	keyPropertyValueNotInList         = "PropertyValueNotInList"
	keyNoOperation                    = "NoOperation"
	keyActionParameterMissing         = "ActionParameterMissing"
	keyActionParameterUnknown         = "ActionParameterUnknown"
	keyActionParameterValueError      = "ActionParameterValueError"
	keyActionParameterValueNotInSet   = "ActionParameterValueNotInList"
	keyActionParameterValueType       = "ActionParameterValueTypeError"
	keyPasswordChangeRequired         = "PasswordChangeRequired"
	keyPasswordIncorrectLength        = "PasswordIncorrectLength"
	keyPasswordComplexityNotMet       = "PasswordComplexityNotMet"
	keyPasswordReuseTooRecent         = "PasswordReuseTooRecent"
	keyPropertyValueFormatError       = "PropertyValueFormatError"
	keyResourceAlreadyExists          = "ResourceAlreadyExists"
	keyPropertyValueOutOfRange        = "PropertyValueOutOfRange"
	keyPropertyValueConflict          = "PropertyValueConflict"
	keyResourceNotFound               = "ResourceNotFound"
	keyResourceInUse                  = "ResourceInUse"
	keyPreconditionRequired           = "PreconditionRequired"
	keyQueryParameterValueFormatError = "QueryParameterValueFormatError"
	keyQueryParameterOutOfRange       = "QueryParameterOutOfRange"
	keyQueryCombinationInvalid        = "QueryCombinationInvalid"
	keyServiceDisabled                = "ServiceDisabled"
	keyEventSubscriptionLimit         = "EventSubscriptionLimitExceeded"
	keyRestrictedRole                 = "RestrictedRole"
	keyActionParameterOutOfRange      = "ActionParameterValueOutOfRange"
	keyStringValueTooLong             = "StringValueTooLong"
	keyArraySizeTooLong               = "ArraySizeTooLong"
	keyInsufficientStorage            = "InsufficientStorage"
	keyOneTimePasscodeSent            = "OneTimePasscodeSent"
	keySessionTerminated              = "SessionTerminated"
	keyAccountModified                = "AccountModified"
	keySuccess                        = "Success"
	keyCreated                        = "Created"
	keyPropertyValueResourceConflict  = "PropertyValueResourceConflict"
)

// messages is our table of the Base registry 1.22.
var messages = map[string]message{
	keyGeneralError:                   {"A general error has occurred.  See Resolution for information on how to resolve the error, or @Message.ExtendedInfo if Resolution is not provided.", critical, "None."},
	keyInternalError:                  {"The request failed due to an internal service error.  The service is still operational.", critical, "Resubmit the request.  If the problem persists, consider resetting the service."},
	keyNoValidSession:                 {"There is no valid session established with the implementation.", critical, "Establish a session before attempting any operations."},
	keyResourceAtURIUnauthorized:      {"While accessing the resource at '%1', the service received an authorization error '%2'.", critical, "Ensure that the appropriate access is provided for the service in order for it to access the URI."},
	keyInsufficientPrivilege:          {"There are insufficient privileges for the account or credentials associated with the current session to perform the requested operation.", critical, "Either abandon the operation or change the associated access rights" + resubmitFailed},
	keySessionLimitExceeded:           {"The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.", critical, "Reduce the number of other sessions before trying to establish the session or increase the limit of simultaneous sessions, if supported."},
	keyServiceTemporarilyUnavail:      {"The service is temporarily unavailable.  Retry in %1 seconds.", critical, "Wait for the indicated retry duration and retry the operation."},
	keyResourceMissingAtURI:           {"The resource at the URI '%1' was not found.", critical, "Place a valid resource at the URI or correct the URI and resubmit the request."},
	keyOperationNotAllowed:            {"The HTTP method is not allowed on this resource.", critical, "None."},
	keyHeaderInvalid:                  {"Header '%1' is invalid.", critical, "Resubmit the request with a valid request header."},
	keyPreconditionFailed:             {"The ETag supplied did not match the ETag required to change this resource.", critical, "Try the operation again using the appropriate ETag."},
	keyPayloadTooLarge:                {"The supplied payload exceeds the maximum size supported by the service.", critical, "Check that the supplied payload is correct and supported by this service."},
	keyMalformedJSON:                  {"The request body submitted was malformed JSON and could not be parsed by the receiving service.", critical, "Ensure that the request body is valid JSON and resubmit the request."},
	keyEmptyJSON:                      {"The request body submitted contained an empty JSON object and the service is unable to process it.", warning, "Add properties in the JSON object and resubmit the request."},
	keyUnrecognizedRequestBody:        {"The service detected a malformed request body that it was unable to interpret.", warning, "Correct the request body and resubmit the request if it failed."},
	keyPropertyMissing:                {"The property %1 is a required property and must be included in the request.", warning, "Ensure that the property is in the request body and has a valid value" + resubmitFailed},
	keyPropertyDuplicate:              {"The property %1 was duplicated in the request.", warning, "Remove the duplicate property from the request body" + resubmitFailed},
	keyPropertyValueTypeError:         {"The value '%1' for the property %2 is not a type that the property can accept.", warning, fixProperty},
	keyPropertyValueError:             {"The value provided for the property %1 is not valid.", warning, fixProperty},
	keyQueryParameterUnsupported:      {"Query parameter '%1' is not supported.", warning, "Correct or remove the query parameter and resubmit the request."},
	keyQueryParameterValueError:       {"The value for the parameter %1 is invalid.", warning, fixParameter},
	keyQueryNotSupportedOnOperation:   {"Querying is not supported with the requested operation.", warning, "Remove the query parameters" + resubmitFailed},
	keyCreateLimitReached:             {"The create operation failed because the resource has reached the limit of possible resources.", critical, "Either delete resources and resubmit the request if the operation failed or do not resubmit the request."},
	keyPropertyUnknown:                {"The property %1 is not in the list of valid properties for the resource.", warning, "Remove the unknown property from the request body" + resubmitFailed},
	keyPropertyNotWritable:            {"The property %1 is a read-only property and cannot be assigned a value.", warning, "Remove the property from the request body" + resubmitFailed},
	keyPropertyValueNotInList:         {"The value '%1' for the property %2 is not in the list of acceptable values.", warning, fromList},
	keyNoOperation:                    {"The request body submitted contain no data to act upon and no changes to the resource took place.", warning, "Add properties in the JSON object and resubmit the request."},
	keyActionParameterMissing:         {"The action %1 requires the parameter %2 to be present in the request body.", critical, "Supply the action with the required parameter in the request body when the request is resubmitted."},
	keyActionParameterUnknown:         {"The action %1 was submitted with the invalid parameter %2.", warning, "Correct the invalid action parameter" + resubmitFailed},
	keyActionParameterValueError:      {"The value for the parameter %1 in the action %2 is invalid.", warning, fixActionParameter},
	keyActionParameterValueNotInSet:   {"The value '%1' for the parameter %2 in the action %3 is not in the list of acceptable values.", warning, fromList},
	keyActionParameterValueType:       {"The value '%1' for the parameter %2 in the action %3 is not a type that the parameter can accept.", warning, fixActionParameter},
	keyPasswordChangeRequired:         {"The password provided for this account must be changed before access is granted.  PATCH the Password property for this account located at the target URI '%1' to complete this process.", critical, "Change the password for this account using a PATCH to the Password property at the URI provided."},
	keyPasswordIncorrectLength:        {"The password provided for this account does not meet the password length requirements of the service.", critical, "Resubmit the request with a password that meets the password length requirements as specified by the `MinPasswordLength` and `MaxPasswordLength` properties in the `AccountService` resource."},
	keyPasswordComplexityNotMet:       {"The password provided for this account does not meet the password complexity requirements of the service.", critical, "Resubmit the request with a password that meets the password complexity requirements as specified by the `PasswordGuidanceMessage` property in the `AccountService` resource."},
	keyPasswordReuseTooRecent:         {"The password provided for this account does not meet the password reuse requirements of the service.", critical, "Resubmit the request with a password that meets the password reuse requirements specified by the `EnforcePasswordHistoryCount` property in the `AccountService` resource."},
	keyPropertyValueFormatError:       {"The value '%1' for the property %2 is not a format that the property can accept.", warning, fixProperty},
	keyResourceAlreadyExists:          {"The requested resource of type %1 with the property %2 with the value '%3' already exists.", critical, "Do not repeat the create operation as the resource was already created."},
	keyPropertyValueOutOfRange:        {"The value '%1' for the property %2 is not in the supported range of acceptable values.", warning, fixProperty},
	keyPropertyValueConflict:          {"The property '%1' could not be written because its value would conflict with the value of the '%2' property.", warning, "None."},
	keyResourceNotFound:               {"The requested resource of type %1 named '%2' was not found.", critical, "Provide a valid resource identifier and resubmit the request."},
	keyResourceInUse:                  {"The change to the requested resource failed because the resource is in use or in transition.", warning, "Remove the condition" + resubmitFailed},
	keyPreconditionRequired:           {"A precondition header or annotation is required to change this resource.", critical, "Try the operation again using an If-Match or If-None-Match header and appropriate ETag."},
	keyQueryParameterValueFormatError: {"The value '%1' for the parameter %2 is not a format that the parameter can accept.", warning, fixParameter},
	keyQueryParameterOutOfRange:       {"The value '%1' for the query parameter %2 is out of range %3.", warning, "Reduce the value for the query parameter to a value that is within range, such as a start or count value that is within bounds of the number of resources in a collection or a page number that is within the range of valid pages."},
	keyQueryCombinationInvalid:        {"Two or more query parameters in the request cannot be used together.", warning, "Remove one or more of the query parameters" + resubmitFailed},
	keyServiceDisabled:                {"The operation failed because the service at %1 is disabled and cannot accept requests.", warning, "Enable the service" + resubmitFailed},
	keyEventSubscriptionLimit:         {"The event subscription failed due to the number of simultaneous subscriptions exceeding the limit of the implementation.", critical, "Reduce the number of other subscriptions before trying to establish the event subscription or increase the limit of simultaneous subscriptions, if supported."},
	keyRestrictedRole:                 {"The operation was not successful because the role '%1' is restricted.", warning, "No resolution is required.  For standard roles, consider using the role specified in the AlternateRoleId property in the Role resource."},
	keyActionParameterOutOfRange:      {"The value '%1' for the parameter %2 in the action %3 is not in the supported range of acceptable values.", warning, fixActionParameter},
	keyStringValueTooLong:             {"The string '%1' exceeds the length limit %2.", warning, "Resubmit the request with an appropriate string length."},
	keyArraySizeTooLong:               {"The array provided for property %1 exceeds the size limit %2.", warning, "Resubmit the request with an appropriate array size."},
	keyInsufficientStorage:            {"Insufficient storage or memory available to complete the request.", critical, "Increase the free storage space available to the service and resubmit the request."},
	keyOneTimePasscodeSent:            {"A one-time passcode was sent to: %1.  Supply the passcode as the `Token` property in the request to create a session.", ok, "Obtain the one-time passcode sent to the delivery address and resubmit the request using the passcode as the `Token` property."},
	keySessionTerminated:              {"The session was successfully terminated.", ok, "None."},
	keyAccountModified:                {"The account was successfully modified.", ok, "None."},
	keySuccess:                        {"The request completed successfully.", ok, "None."},
	keyCreated:                        {"The resource was created successfully.", ok, "None."},
	keyPropertyValueResourceConflict:  {"The property '%1' with the requested value of '%2' could not be written because the value conflicts with the state or configuration of the resource at '%3'.", warning, "None."},
	keyQueryNotSupportedOnResource:    {"Querying is not supported on the requested resource.", warning, "Remove the query parameters" + resubmitFailed},
}

// findMessage returns the entry of a key of the Base registry or of iLO's.
func findMessage(key string) (message, bool) {
	if m, ok := messages[key]; ok {
		return m, true
	}
	m, ok := iloMessages[key]
	return m, ok
}

// newMessage fills in the entry of key. A key that is in no table gives
// GeneralError.
func newMessage(e *envelope, key string, args, related []string) Message {
	m, ok := findMessage(key)
	if !ok {
		key, args = keyGeneralError, nil
		m = messages[key]
	}
	if args == nil {
		args = []string{}
	}
	return Message{
		ODataType: e.messageType, MessageID: e.id(key), Message: fill(m.text, args), MessageArgs: args,
		RelatedProperties: related, Severity: m.severity, MessageSeverity: m.severity, Resolution: m.resolution,
	}
}

// fill puts args in the place of %1 to %9, in one pass: an argument that
// itself reads "%2" stays as it is.
func fill(text string, args []string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) || text[i+1] < '1' || text[i+1] > '9' {
			b.WriteByte(text[i])
			continue
		}
		i++
		if n := int(text[i] - '1'); n < len(args) {
			b.WriteString(args[n])
		}
	}
	return b.String()
}
